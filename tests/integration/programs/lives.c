/*
 * What becomes of processes and threads, while 8 threads allocate at the limit's line.
 *   lives forks         1000 children that allocate and exit
 *   lives vforks        300 children on loan of the memory: allocate and exit
 *   lives spawns        posix_spawn(), 200 times
 *   lives daemon        forks twice, closes all descriptors, allocates
 *   lives execs         a thread other than the first executes this program anew
 *   lives cancels       threads are cancelled, deferred and at any point
 *   lives storm         thousands of threads that allocate and end
 *   lives plugins DIR   C++ plug-ins are loaded and unloaded by threads
 *   lives signals       signals rain on all threads
 * Prints what it saw as key=value, ok=1 at the end. Needs the library.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "workload.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 1000, THREADS = 8, BLOCKS = 32, LIVE_MIB = 24, SOFT_MIB = 28 };

extern char **environ;

static _Atomic bool stop;
static pthread_t threads[THREADS];

/* --- the load --- */

static void churn(unsigned *seed, unsigned steps)
{
    struct block *blocks[BLOCKS] = {0};
    size_t held;
    for (unsigned i = 0; i < steps; i++) {
        unsigned at = (unsigned)rand_r(seed) % BLOCKS;
        size_t size = 32 + (size_t)rand_r(seed) % ((size_t)1 << ((unsigned)rand_r(seed) % 17 + 1));
        if (blocks[at] && !block_is_intact(blocks[at]))
            die("damaged block of %zu bytes", blocks[at]->size);
        free(blocks[at]);
        blocks[at] = block_new(size, &held);
        if (!blocks[at])
            die("malloc failed");
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void *keep_churning(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&stop)) {
        churn(&seed, 60);
        sleep_s(0.001); /* leaves a CPU for what runs under this load */
    }
    return NULL;
}

/* Live data at the line where free pages are purged: looks are frequent, the watcher runs. */
static void begin_load(void)
{
    size_t held;
    struct block *live = block_new((size_t)LIVE_MIB << 20, &held);
    if (!live || plim_set_limit((uint64_t)SOFT_MIB << 20) != 0)
        die("no load");
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, keep_churning, (void *)(i + 1)) != 0)
            die("cannot start a thread");
    }
    for (double start = now_s(); plim_level() == PLIM_NORMAL && now_s() - start < 60;)
        sleep_s(0.01);
    printf("level=%d\n", (int)plim_level());
}

static void end_load(void)
{
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* --- processes --- */

static bool ends_well(pid_t pid)
{
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && status == 0;
}

static _Noreturn void live_and_exit(void)
{
    unsigned seed = 7;
    alarm(100); /* ends it if it hangs */
    churn(&seed, 60);
    free(malloc((size_t)2 << 20));
    _exit(0);
}

static void forks(void)
{
    int failed = 0;
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        if (pid == 0)
            live_and_exit();
        failed += !ends_well(pid);
    }
    printf("failed=%d\n", failed);
}

/* In a function of its own, so that parent and child do not both write to the caller's
 * variables. */
static __attribute__((noinline)) pid_t vfork_and_live(void)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    pid_t pid = vfork();
#pragma GCC diagnostic pop
    if (pid == 0) {
        unsigned seed = 7;
        churn(&seed, 60);
        _exit(0);
    }
    return pid;
}

/* The child has all the parent's descriptors, and its memory is the parent's, on loan: the parent
 * must still be watched afterwards. */
static void vforks(void)
{
    int failed = 0;
    for (int i = 0; i < 300; i++)
        failed += !ends_well(vfork_and_live());
    struct plim_stats stats = {.size = sizeof(stats)}, later = stats;
    plim_stats(&stats);
    for (double start = now_s(); now_s() - start < 60; sleep_s(0.02)) {
        plim_stats(&later);
        if (later.watcher_wakeups > stats.watcher_wakeups + 1)
            break;
    }
    printf("failed=%d watched=%d\n", failed, later.watcher_wakeups > stats.watcher_wakeups + 1);
}

static void spawns(void)
{
    int failed = 0;
    char *const argv[] = {(char[]){"true"}, NULL};
    for (int i = 0; i < 200; i++) {
        pid_t pid = -1;
        if (posix_spawnp(&pid, "true", NULL, NULL, argv, environ) != 0)
            pid = -1;
        failed += !ends_well(pid);
    }
    printf("failed=%d\n", failed);
}

/* The daemon reports through shared memory, as all descriptors are closed. */
static void become_daemon(void)
{
    _Atomic int *done =
        mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (done == MAP_FAILED)
        die("no memory to share");
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        pid = fork();
        if (pid != 0)
            _exit(pid < 0);
        closefrom(0);
        unsigned seed = 7;
        for (int i = 0; i < 50; i++)
            churn(&seed, 1000);
        struct plim_limits limits = {.size = sizeof(limits)};
        plim_limits(&limits);
        atomic_store(done, limits.hard == (uint64_t)256 << 20 ? 1 : 2);
        _exit(0);
    }
    bool forked = ends_well(pid);
    for (double start = now_s(); atomic_load(done) == 0 && now_s() - start < 60;)
        sleep_s(0.01);
    printf("forked=%d daemon=%d\n", forked, atomic_load(done));
}

static void *execute(void *arg)
{
    char *const argv[] = {arg, (char[]){"executed"}, NULL};
    execv("/proc/self/exe", argv);
    die("cannot execute");
}

static void execs(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, execute, (char[]){"lives"}) != 0)
        die("cannot start a thread");
    pthread_join(thread, NULL);
    die("execution returned");
}

static void executed(void)
{
    unsigned seed = 7;
    churn(&seed, 1000);
    printf("executed=1\n");
}

/* --- threads --- */

static _Atomic unsigned came_back, cancelled;

static void note_cancelled(void *arg)
{
    free(*(void **)arg);
    atomic_fetch_add(&cancelled, 1);
}

/* No call of the malloc family is a cancellation point, however long a thread waits in it. */
static void *cancel_deferred(void *arg)
{
    void *block = NULL;
    unsigned seed = (unsigned)(uintptr_t)arg;
    pthread_cleanup_push(note_cancelled, &block);
    pthread_cancel(pthread_self());
    churn(&seed, 50);
    block = malloc((size_t)1 << 20);
    atomic_fetch_add(&came_back, 1);
    pthread_testcancel();
    pthread_cleanup_pop(1);
    return NULL;
}

/* Is cancelled at any point but inside malloc, which no standard allows. */
static void *cancel_any_time(void *arg)
{
    void *volatile block = NULL;
    pthread_cleanup_push(note_cancelled, (void *)(uintptr_t)&block);
    for (volatile unsigned i = 0;; i++) {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        free(block);
        block = malloc(i % 10000);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
        for (volatile unsigned spin = 0; spin < 1000; spin++)
            ;
        pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
    }
    pthread_cleanup_pop(1);
    return arg;
}

static void cancels(void)
{
    enum { TIMES = 300 };
    for (uintptr_t i = 0; i < TIMES; i++) {
        pthread_t deferred, any_time;
        if (pthread_create(&deferred, NULL, cancel_deferred, (void *)i) != 0 ||
            pthread_create(&any_time, NULL, cancel_any_time, NULL) != 0)
            die("cannot start a thread");
        sleep_s(0.0005);
        pthread_cancel(any_time);
        pthread_join(deferred, NULL);
        pthread_join(any_time, NULL);
    }
    printf("came_back=%u cancelled=%u expected=%d\n", atomic_load(&came_back),
           atomic_load(&cancelled), TIMES);
}

static void *live_a_little(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    churn(&seed, 10);
    return malloc(100);
}

static void storm(void)
{
    enum { ROUNDS = 500, AT_ONCE = 10 };
    struct plim_stats before = {.size = sizeof(before)}, after = before;
    plim_stats(&before);
    for (uintptr_t i = 0; i < ROUNDS; i++) {
        pthread_t made[AT_ONCE];
        void *block;
        for (int k = 0; k < AT_ONCE; k++) {
            if (pthread_create(&made[k], NULL, live_a_little, (void *)i) != 0)
                die("cannot start a thread");
        }
        for (int k = 0; k < AT_ONCE; k++) {
            pthread_join(made[k], &block);
            free(block);
        }
    }
    plim_stats(&after);
    printf("threads=%d grown_mib=%.0f\n", ROUNDS * AT_ONCE,
           ((double)after.active - (double)before.active) / 1048576);
}

/* --- plug-ins --- */

static const char *plugin_dir;
static _Atomic unsigned loaded;

static void *load_and_unload(void *arg)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", plugin_dir,
             (uintptr_t)arg % 2 ? "libplugin.so" : "libplugin_static.so");
    for (int i = 0; i < 25; i++) {
        void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!plugin)
            die("%s", dlerror());
        int (*run)(void) = (int (*)(void))dlsym(plugin, "plugin_run");
        if (!run || run() != 0)
            die("the plug-in failed");
        dlclose(plugin);
        atomic_fetch_add(&loaded, 1);
    }
    return NULL;
}

static void plugins(void)
{
    pthread_t loaders[4];
    for (uintptr_t i = 0; i < 4; i++) {
        if (pthread_create(&loaders[i], NULL, load_and_unload, (void *)i) != 0)
            die("cannot start a thread");
    }
    for (int i = 0; i < 4; i++)
        pthread_join(loaders[i], NULL);
    printf("loaded=%u\n", atomic_load(&loaded));
}

/* --- signals --- */

static _Atomic unsigned long handled;

/* A handler as it should be: it calls nothing that takes a lock, and keeps errno. */
static void on_signal(int number)
{
    (void)number;
    int saved_errno = errno;
    errno = 0;
    if (plim_level() <= PLIM_CRITICAL)
        atomic_fetch_add(&handled, 1);
    errno = saved_errno;
}

static void signals(void)
{
    unsigned long sent = 0;
    for (double start = now_s(); now_s() - start < 3;) {
        for (int i = 0; i < THREADS; i++)
            sent += pthread_kill(threads[i], SIGUSR1) == 0;
        sleep_s(0.0002);
    }
    printf("sent=%lu handled=%lu\n", sent, atomic_load(&handled));
}

int main(int argc, char **argv)
{
    static const struct scenario scenarios[] = {
        {"forks", forks}, {"vforks", vforks},        {"spawns", spawns},
        {"execs", execs}, {"daemon", become_daemon}, {"cancels", cancels},
        {"storm", storm}, {"plugins", plugins},      {"signals", signals},
    };
    setlinebuf(stdout);
    if (!plim_present())
        die("needs the library");
    plugin_dir = argc > 2 ? argv[2] : ".";
    signal(SIGUSR1, on_signal);
    if (argc > 1 && strcmp(argv[1], "executed") == 0) {
        executed();
        printf("ok=1\n");
        return 0;
    }
    begin_load();
    scenario_run(scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc > 1 ? argv[1] : NULL);
    end_load();
    return 0;
}
