/*
 * How the watcher comes to run, or not, in a box of 256 MiB.
 *   starting reclaim       a reclaimer is called, has a thread cache, and uses nearly all the stack
 *                          that it is promised; built with more and fewer thread-local variables
 *                          (TLS_KIB)
 *   starting impossible    RLIMIT_NPROC of 0 and a reclaimer: large requests are refused, then the
 *                          limit cannot be met
 *   starting idle_class    a SCHED_IDLE thread on the last CPU has the watcher started
 *   starting real_time     the same by a SCHED_FIFO thread
 *   starting failing       no thread can be made, while another one enters namespaces
 *   starting hung          a reclaimer does not return until more has been asked for
 *   starting descriptors   a second thread makes the library look; prints the size of the table of
 *                          descriptors before that and after
 * Prints what it saw as key=value, ok=1 at the end; denied=1 where the machine does not allow it.
 * Needs the library.
 */
#include "stats_now.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if !defined(TLS_KIB)
#define TLS_KIB 1
#endif

enum { NOBODY = 65534, DEEP = 900 * 1024 };

static const size_t MIB = 1048576;
/* For what must happen sooner or later. */
static const double patience_s = 60;

static _Thread_local volatile char of_each_thread[TLS_KIB * 1024];

static _Atomic int calls;
static _Atomic bool has_cache;

extern int mallctl(const char *name, void *ret, size_t *ret_len, const void *value, size_t len)
    __attribute__((weak));

static bool is(const char *name)
{
    bool value = false;
    size_t len = sizeof(value);
    return mallctl != NULL && mallctl(name, &value, &len, NULL, 0) == 0 && value;
}

static void add_reclaimer(plim_reclaim_fn *fn)
{
    if (plim_reclaimer_add("test", fn, NULL, PLIM_MEDIUM) < 0)
        die("cannot add a reclaimer");
}

static void *must_have(size_t size)
{
    void *block = malloc(size);
    if (!block)
        die("malloc failed");
    memset(block, 1, size);
    return block;
}

/* --- reclaim --- */

static size_t go_deep(const struct plim_pressure *p, void *arg)
{
    volatile char frame[DEEP];
    (void)p, (void)arg;
    for (size_t i = 0; i < DEEP; i += 1024)
        frame[i] = of_each_thread[i % sizeof(of_each_thread)];
    atomic_store(&has_cache, is("thread.tcache.enabled"));
    atomic_fetch_add(&calls, frame[0] == 0);
    return 0;
}

static void reclaim(void)
{
    add_reclaimer(go_deep);
    while (!stats_now().watcher_wakeups)
        sleep_s(0.01);
    const uint64_t anew = 1;
    if (mallctl != NULL)
        (void)mallctl("epoch", NULL, NULL, &anew, sizeof(anew));
    printf("arenas=%d\n", is("arena.0.initialized") + is("arena.1.initialized"));
    for (double start = now_s(); atomic_load(&calls) == 0 && now_s() - start < patience_s;)
        (void)plim_reclaim(1024 * MIB);
    printf("called=%d cache=%d\n", atomic_load(&calls) > 0, atomic_load(&has_cache));
}

/* --- impossible --- */

static size_t give_nothing(const struct plim_pressure *p, void *arg)
{
    (void)p, (void)arg;
    atomic_fetch_add(&calls, 1);
    return 0;
}

static void have_no_threads(void)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_NPROC, &none) != 0 || setgroups(0, NULL) != 0 ||
        setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
        die("cannot give up rights");
}

/* Counts refusals of requests that could be served if a reclaimer gave memory back. */
static int refused_of(int count)
{
    int refused = 0;
    for (int i = 0; i < count; i++) {
        void *block = malloc(100 * MIB);
        refused += block == NULL;
        free(block);
    }
    return refused;
}

static void impossible(void)
{
    have_no_threads();
    add_reclaimer(give_nothing);
    for (int i = 0; i < 232; i++)
        must_have(MIB);
    int refused = refused_of(10);
    printf("refused=%d throttled_s=%.3f\n", refused, (double)stats_now().throttle_ns / 1e9);
    uint32_t cannot = 0;
    for (double start = now_s(); !cannot && now_s() - start < patience_s; sleep_s(0.05)) {
        must_have(16 * 1024); /* a heap that does not grow is not looked at */
        cannot = stats_now().cannot_meet_limit;
    }
    printf("cannot_meet=%u calls=%d\n", cannot, atomic_load(&calls));
}

/* --- idle_class, real_time --- */

/* The CPUs that the process may use at its start. */
static cpu_set_t at_start;

static cpu_set_t last_cpu(void)
{
    cpu_set_t one;
    int last = CPU_SETSIZE - 1;
    CPU_ZERO(&one);
    while (!CPU_ISSET(last, &at_start))
        last--;
    CPU_SET(last, &one);
    return one;
}

/* Moves to that scheduling class and to the last CPU, and then has the watcher started. */
static void *start_as(void *policy)
{
    int wanted = *(int *)policy;
    const struct sched_param param = {.sched_priority = wanted == SCHED_FIFO};
    cpu_set_t one = last_cpu();
    bool denied = sched_setscheduler(0, wanted, &param) != 0;
    if (denied && errno != EPERM)
        die("no such class");
    printf("denied=%d\n", denied);
    if (denied)
        return NULL;
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
        die("cannot be pinned");
    add_reclaimer(give_nothing);
    return policy;
}

/* Describes a thread other than the first; false: it is the first, or has ended. */
static bool inspect(const char *tid, int *ret_policy, bool *ret_everywhere)
{
    cpu_set_t now;
    pid_t number = (pid_t)strtol(tid, NULL, 10);
    if (number == getpid() || sched_getaffinity(number, sizeof(now), &now) != 0)
        return false;
    *ret_policy = sched_getscheduler(number);
    *ret_everywhere = CPU_EQUAL(&now, &at_start) != 0;
    return true;
}

/* Waits until the only threads besides this one are the watcher and the one that stands by. */
static void report_threads(void)
{
    int count = 0, ordinary = 0, policy;
    bool everywhere;
    for (double start = now_s(); count != 2 && now_s() - start < patience_s; sleep_s(0.02)) {
        DIR *dir = opendir("/proc/self/task");
        if (!dir)
            die("no /proc/self/task");
        count = ordinary = 0;
        (void)plim_reclaim(1024 * MIB);
        for (struct dirent *entry; (entry = readdir(dir));) {
            if (entry->d_name[0] == '.' || !inspect(entry->d_name, &policy, &everywhere))
                continue;
            count++;
            ordinary += policy == SCHED_OTHER && everywhere;
        }
        closedir(dir);
    }
    printf("threads=%d ordinary=%d\n", count, ordinary);
}

static void have_it_started(int policy_of_starter)
{
    pthread_t thread;
    void *started;
    if (sched_getaffinity(0, sizeof(at_start), &at_start) != 0 ||
        pthread_create(&thread, NULL, start_as, &policy_of_starter) != 0 ||
        pthread_join(thread, &started) != 0)
        die("no thread");
    if (started)
        report_threads();
}

static void idle_class(void)
{
    have_it_started(SCHED_IDLE);
}

static void real_time(void)
{
    have_it_started(SCHED_FIFO);
}

/* --- failing --- */

/* While set, the pthread_create() below waits until another thread calls setns(), and then
 * fails. */
static _Atomic bool fails;
static _Atomic int waiting, entering;

__attribute__((visibility("default"))) int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *), void *arg)
{
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    if (!atomic_load(&fails))
        return next(thread, attr, body, arg);
    atomic_fetch_add(&waiting, 1);
    for (double start = now_s(); !atomic_load(&entering) && now_s() - start < patience_s;)
        sleep_s(0.001);
    sleep_s(0.1); /* gives the other thread time to get into setns(): that cannot be seen */
    return EAGAIN;
}

/* There is no such namespace: the test is of what the library does before the call. */
static void *enter_none(void *arg)
{
    while (!atomic_load(&waiting))
        sleep_s(0.001);
    atomic_fetch_add(&entering, 1);
    return setns(-1, 0) != 0 && errno == EBADF ? arg : NULL;
}

static void failing(void)
{
    pthread_t thread;
    void *entered;
    alarm((unsigned)patience_s);
    if (pthread_create(&thread, NULL, enter_none, &thread) != 0)
        die("no thread");
    atomic_store(&fails, true);
    add_reclaimer(give_nothing);
    pthread_join(thread, &entered);
    printf("waited=%d entered=%d\n", atomic_load(&waiting) > 0, entered != NULL);
}

/* --- hung --- */

static _Atomic bool released;

static size_t hang_once(const struct plim_pressure *p, void *arg)
{
    (void)p, (void)arg;
    if (atomic_fetch_add(&calls, 1) == 0) {
        while (!atomic_load(&released))
            sleep_s(0.001);
    }
    return 0;
}

static bool wakes_up_after(uint64_t wakeups)
{
    double start = now_s();
    while (stats_now().watcher_wakeups <= wakeups && now_s() - start < patience_s)
        sleep_s(0.01);
    return stats_now().watcher_wakeups > wakeups;
}

/* The thread that stands by has taken over, and finds the old watcher still inside a reclaimer.
 * What is asked for meanwhile must be asked of reclaimers later. */
static void hung(void)
{
    add_reclaimer(hang_once);
    while (atomic_load(&calls) == 0)
        (void)plim_reclaim(MIB);
    bool over = wakes_up_after(stats_now().watcher_wakeups);
    (void)plim_reclaim(MIB);
    over = over && wakes_up_after(stats_now().watcher_wakeups - 1);
    int before = atomic_load(&calls);
    atomic_store(&released, true);
    for (double start = now_s(); atomic_load(&calls) == before && now_s() - start < patience_s;)
        sleep_s(0.01);
    printf("taken_over=%d before=%d after=%d\n", over, before, atomic_load(&calls) > before);
}

/* --- descriptors --- */

static unsigned descriptors_fit(void)
{
    char text[128];
    unsigned fit = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(text, sizeof(text), file)) {
        if (strncmp(text, "FDSize:", 7) == 0)
            fit = (unsigned)strtoul(text + 7, NULL, 10);
    }
    if (file)
        fclose(file);
    return fit;
}

static void *grow(void *arg)
{
    for (int i = 0; i < 64; i++)
        must_have(MIB);
    return arg;
}

static void descriptors(void)
{
    pthread_t thread;
    unsigned before = descriptors_fit();
    if (pthread_create(&thread, NULL, grow, NULL) != 0 || pthread_join(thread, NULL) != 0)
        die("no thread");
    printf("looks=%d before=%u after=%u\n", stats_now().looks > 0, before, descriptors_fit());
}

int main(int argc, char **argv)
{
    static const struct scenario scenarios[] = {
        {"reclaim", reclaim},         {"impossible", impossible}, {"idle_class", idle_class},
        {"real_time", real_time},     {"failing", failing},       {"hung", hung},
        {"descriptors", descriptors},
    };
    setlinebuf(stdout);
    if (!plim_present())
        die("needs the library");
    scenario_run(scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc == 2 ? argv[1] : NULL);
    return 0;
}
