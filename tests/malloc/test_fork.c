/* fork(): the child can allocate at once, whatever other threads were doing. */
#include <criterion/criterion.h>
#include <errno.h>
#include <plimsoll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

extern char **environ;
/* <jemalloc/jemalloc.h> need not be there. */
extern int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
extern int mallctlnametomib(const char *name, size_t *mib, size_t *miblen);
extern int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp, void *newp,
                        size_t newlen);

static _Atomic bool stop;

/* Allocates, writes to and frees some hundred blocks of all sizes. */
static void allocate_and_free(unsigned *seed, unsigned steps)
{
    char *blocks[32] = {0};
    for (unsigned i = 0; i < steps; i++) {
        unsigned at = (unsigned)rand_r(seed) % 32;
        size_t size = (size_t)rand_r(seed) % ((size_t)1 << ((unsigned)rand_r(seed) % 20 + 1));
        free(blocks[at]);
        blocks[at] = malloc(size);
        if (blocks[at] == NULL)
            abort();
        memset(blocks[at], 1, size);
    }
    for (unsigned i = 0; i < 32; i++)
        free(blocks[i]);
}

static void *keep_allocating(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&stop))
        allocate_and_free(&seed, 200);
    return NULL;
}

static void *allocate_once(void *arg)
{
    unsigned seed = 5;
    allocate_and_free(&seed, 200);
    return arg;
}

/* What a child does, until its end; SIGALRM ends it if it hangs. */
static _Noreturn void child_work(void)
{
    unsigned seed = 99;
    pthread_t thread;
    struct plim_stats stats = {.size = sizeof(stats)};
    alarm(100);
    allocate_and_free(&seed, 300);
    if (plim_stats(&stats) != 0 || pthread_create(&thread, NULL, allocate_once, NULL) != 0)
        _exit(2);
    pthread_join(thread, NULL);
    free(malloc(3 * MIB));
    _exit(0);
}

static void assert_child_ends_well(pid_t pid)
{
    int status;
    cr_assert_gt(pid, 0);
    while (waitpid(pid, &status, 0) < 0)
        cr_assert_eq(errno, EINTR);
    cr_assert_eq(status, 0, "exit status %d, signal %d", WEXITSTATUS(status), WTERMSIG(status));
}

static void fork_often(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        pid_t pid = fork();
        if (pid == 0)
            child_work();
        assert_child_ends_well(pid);
    }
}

/* Forks while four threads allocate. */
static void fork_among_threads(unsigned times)
{
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, keep_allocating, (void *)(i + 1)), 0);
    fork_often(times);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void press(size_t live, size_t limit)
{
    char *kept = malloc(live);
    cr_assert_not_null(kept);
    memset(kept, 1, live);
    cr_assert_eq(plim_set_limit(limit), 0);
    free(malloc(2 * MIB)); /* makes a look */
    cr_assert_geq(plim_level(), PLIM_LOW);
}

Test(fork, child_allocates_and_frees, .timeout = 300)
{
    fork_often(20);
}

Test(fork, child_frees_what_the_parent_allocated, .timeout = 300)
{
    char *blocks[1000];
    for (size_t i = 0; i < 1000; i++)
        memset(blocks[i] = malloc(i * 40 + 1), (int)(i & 0x7f), i * 40 + 1);
    pid_t pid = fork();
    if (pid == 0) {
        for (size_t i = 0; i < 1000; i++) {
            if (blocks[i][i * 40] != (char)(i & 0x7f))
                _exit(3);
            free(blocks[i]);
        }
        child_work();
    }
    assert_child_ends_well(pid);
    for (size_t i = 0; i < 1000; i++) {
        cr_assert_eq(blocks[i][i * 40], (char)(i & 0x7f));
        free(blocks[i]);
    }
}

Test(fork, child_of_a_child_works, .timeout = 300)
{
    pid_t pid = fork();
    if (pid == 0) {
        int status = 1;
        pid_t inner = fork();
        if (inner == 0)
            child_work();
        if (waitpid(inner, &status, 0) != inner || status != 0)
            _exit(4);
        child_work();
    }
    assert_child_ends_well(pid);
}

Test(fork, two_hundred_children_while_four_threads_allocate, .timeout = 600)
{
    fork_among_threads(200);
}

Test(fork, children_of_a_process_under_pressure_while_threads_allocate, .timeout = 600)
{
    press(80 * MIB, 84 * MIB); /* level low, at which every request passes the gate */
    fork_among_threads(25);
}

Test(fork, children_of_a_process_over_its_limit, .timeout = 600)
{
    press(96 * MIB, 64 * MIB);
    fork_often(5);
}

static uint64_t looks_so_far(void)
{
    struct plim_stats stats = {.size = sizeof(stats)};
    return plim_stats(&stats) == 0 ? stats.looks : 0;
}

static void use(size_t bytes)
{
    for (size_t used = 0; used < bytes; used += 3000)
        memset(malloc(3000), 1, 3000);
}

/* The child is far from its limit, and the parent has no watcher. */
Test(fork, child_looks_once_it_has_allocated_more_than_a_little, .timeout = 300)
{
    use(12 * MIB);
    cr_assert_eq(plim_set_limit(1024 * MIB), 0);
    free(malloc(2 * MIB)); /* makes a look */
    struct plim_stats stats = {.size = sizeof(stats)};
    struct plim_limits limits = {.size = sizeof(limits)};
    cr_assert(plim_stats(&stats) == 0 && plim_limits(&limits) == 0);
    if (stats.usage > limits.hard / 4)
        cr_skip_test("the machine, or the cgroup of the tests, is not far from its limit");
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t before = looks_so_far();
        use(MIB / 8);
        if (before != 0 || looks_so_far() != 0) /* it must not count the parent's looks */
            _exit(8);
        use(3 * MIB);
        _exit(looks_so_far() > 0 ? 0 : 9);
    }
    assert_child_ends_well(pid);
}

/* --- reclaimers --- */

struct in_call {
    _Atomic unsigned calls;
    _Atomic int child_status; /* -1: none yet */
};

/* --- while the program purges through jemalloc's own controls --- */

static void purge_by_name(void)
{
    (void)mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
}

static void purge_by_number(void)
{
    static size_t mib[3], len = 3;
    if (mib[0] == 0 && mib[2] == 0)
        (void)mallctlnametomib("arena.4096.purge", mib, &len);
    (void)mallctlbymib(mib, len, NULL, NULL, NULL, 0);
}

static void age_at_once(void)
{
    ssize_t ms = 0;
    (void)mallctl("arena.0.dirty_decay_ms", NULL, NULL, &ms, sizeof(ms));
    ms = 10000;
    (void)mallctl("arena.0.dirty_decay_ms", NULL, NULL, &ms, sizeof(ms));
}

enum { BLOCKS = 256 };

static void use_and_free(void)
{
    char *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(MIB / 16);
        if (blocks[i] == NULL)
            abort();
        memset(blocks[i], 1, MIB / 16);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void *keep_purging(void *purge)
{
    while (!atomic_load(&stop)) {
        use_and_free();
        ((void (*)(void))purge)();
    }
    return NULL;
}

/* Checks in a child that it can get rid of its free pages. */
static _Noreturn void child_gives_back(void)
{
    struct plim_stats stats = {.size = sizeof(stats)};
    alarm(100);
    use_and_free();
    purge_by_name();
    use_and_free();
    purge_by_name();
    if (plim_stats(&stats) != 0)
        _exit(2);
    _exit(stats.committed > stats.active + 4 * MIB ? 3 : 0);
}

static void fork_while_purging(void (*purge)(void))
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, keep_purging, (void *)purge), 0);
    for (unsigned i = 0; i < 100; i++) {
        usleep(1000 + 97 * (i % 50)); /* forks at any point of what the thread does */
        pid_t pid = fork();
        if (pid == 0)
            child_gives_back();
        assert_child_ends_well(pid);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

Test(fork, child_gives_pages_back_though_the_parent_was_purging, .timeout = 300)
{
    fork_while_purging(purge_by_name);
}

Test(fork, child_gives_pages_back_though_the_parent_was_purging_by_number, .timeout = 300)
{
    fork_while_purging(purge_by_number);
}

Test(fork, child_gives_pages_back_though_the_parent_was_ageing, .timeout = 300)
{
    fork_while_purging(age_at_once);
}

static void use_first_arena(void)
{
    unsigned first = 0;
    cr_assert_eq(mallctl("thread.arena", NULL, NULL, &first, sizeof(first)), 0);
}

/* jemalloc gives the pages back by itself, without a call that a fork could wait for. */
Test(fork, child_gives_pages_back_though_a_free_of_the_parents_was_giving_them_back, .timeout = 300)
{
#ifdef PLIM_JEMALLOC_SHARED
    cr_skip_test("a fork cannot wait for purges of the shared libjemalloc's own");
#endif
    ssize_t at_once = 0;
    use_first_arena(); /* where the child finds what the other thread was doing */
    cr_assert_eq(mallctl("arena.0.dirty_decay_ms", NULL, NULL, &at_once, sizeof(at_once)), 0);
    fork_while_purging(use_first_arena);
}

/* --- while another thread's purge takes long --- */

/* extent_hooks_t of <jemalloc/jemalloc.h>. */
struct hooks {
    void *(*alloc)(struct hooks *, void *, size_t, size_t, bool *, bool *, unsigned);
    bool (*dalloc)(struct hooks *, void *, size_t, bool, unsigned);
    void (*destroy)(struct hooks *, void *, size_t, bool, unsigned);
    bool (*page_calls[4])(struct hooks *, void *, size_t, size_t, size_t, unsigned);
    bool (*split)(struct hooks *, void *, size_t, size_t, size_t, bool, unsigned);
    bool (*merge)(struct hooks *, void *, size_t, void *, size_t, bool, unsigned);
};
enum { PURGE_LAZY = 2, PURGE_FORCED = 3 }; /* indices of page_calls */
enum { NO_TCACHE = 0x100 };                /* MALLOCX_TCACHE_NONE */
extern void *mallocx(size_t size, int flags);
extern void dallocx(void *p, int flags);

static pid_t slow_in;
static _Atomic unsigned purges_begun;

/* Takes longer than a fork waits that a handler makes inside some other call. */
static bool purge_slowly(struct hooks *hooks, void *addr, size_t size, size_t offset, size_t length,
                         unsigned arena)
{
    struct timespec left = {.tv_sec = 3};
    (void)hooks, (void)size, (void)arena;
    atomic_fetch_add(&purges_begun, 1);
    while (getpid() == slow_in && nanosleep(&left, &left) < 0)
        ;
    return madvise((char *)addr + offset, length, MADV_DONTNEED) != 0;
}

static unsigned create_slow_arena(void)
{
    static struct hooks own, *given = &own;
    struct hooks *found = NULL;
    unsigned arena = 0;
    size_t len = sizeof(found), index_len = sizeof(arena);
    cr_assert_eq(mallctl("arena.0.extent_hooks", &found, &len, NULL, 0), 0);
    own = *found;
    own.page_calls[PURGE_LAZY] = own.page_calls[PURGE_FORCED] = purge_slowly;
    cr_assert_eq(mallctl("arenas.create", &arena, &index_len, &given, sizeof(given)), 0);
    return arena;
}

static void *purge_arena(void *arg)
{
    unsigned arena = *(unsigned *)arg;
    int flags = (int)(arena + 1) << 20 | NO_TCACHE;
    size_t mib[3], len = 3;
    char *block = mallocx(MIB, flags);
    memset(block, 1, MIB);
    dallocx(block, flags);
    (void)mallctlnametomib("arena.0.purge", mib, &len);
    mib[1] = arena;
    (void)mallctlbymib(mib, len, NULL, NULL, NULL, 0);
    return NULL;
}

static volatile sig_atomic_t in_fork, is_handlers_child, handlers_child;

static void fork_in_handler(int sig)
{
    (void)sig;
    if (!in_fork)
        return;
    in_fork = 0;
    pid_t pid = fork();
    is_handlers_child = pid == 0;
    handlers_child = pid;
}

/* Starts a thread that gets no alarms: they go to the calling thread, where the handler forks. */
static pthread_t start_beside_alarms(void *(*work)(void *), void *arg)
{
    pthread_t thread;
    sigset_t alarms;
    const struct sigaction on_alarm = {.sa_handler = fork_in_handler};
    cr_assert_eq(sigaction(SIGALRM, &on_alarm, NULL), 0);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);
    cr_assert_eq(pthread_create(&thread, NULL, work, arg), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    return thread;
}

static void fork_and_fork_meanwhile(unsigned after_us)
{
    const struct itimerval once = {.it_value.tv_usec = after_us};
    handlers_child = 0;
    in_fork = 1;
    cr_assert_eq(setitimer(ITIMER_REAL, &once, NULL), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    in_fork = 0;
    if (is_handlers_child) {
        signal(SIGALRM, SIG_DFL);
        child_gives_back();
    }
    assert_child_ends_well(pid);
    if (handlers_child > 0)
        assert_child_ends_well(handlers_child);
}

/* The handler's child goes on with the interrupted fork, and is the parent there. */
Test(fork, child_of_a_handler_inside_a_fork_that_waits_for_purges_gives_pages_back, .timeout = 300)
{
    ssize_t at_once = 0;
    cr_assert_eq(mallctl("arena.0.dirty_decay_ms", NULL, NULL, &at_once, sizeof(at_once)), 0);
    pthread_t thread = start_beside_alarms(keep_purging, (void *)use_first_arena);
    for (unsigned i = 0; i < 300; i++)
        fork_and_fork_meanwhile(20 + 7 * (i % 50)); /* before, inside and after the wait */
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

/* The handler's fork waits as long as the interrupted one. */
Test(fork, a_fork_inside_one_that_waits_for_a_long_purge_waits_for_it_too, .timeout = 300)
{
#ifdef PLIM_JEMALLOC_SHARED
    cr_skip_test("a fork cannot wait for purges of the shared libjemalloc's own");
#endif
    const struct itimerval once = {.it_value.tv_usec = 100 * 1000};
    unsigned arena = create_slow_arena();
    slow_in = getpid();
    pthread_t thread = start_beside_alarms(purge_arena, &arena);
    while (atomic_load(&purges_begun) == 0)
        usleep(1000);
    in_fork = 1;
    cr_assert_eq(setitimer(ITIMER_REAL, &once, NULL), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (is_handlers_child) {
        unsigned before = atomic_load(&purges_begun);
        (void)purge_arena(&arena);
        _exit(atomic_load(&purges_begun) > before ? 0 : 3);
    }
    assert_child_ends_well(pid);
    cr_assert_gt(handlers_child, 0, "the fork did not wait");
    assert_child_ends_well(handlers_child);
    pthread_join(thread, NULL);
}

static size_t fork_inside(const struct plim_pressure *p, void *arg)
{
    struct in_call *call = arg;
    int status;
    (void)p;
    if (atomic_fetch_add(&call->calls, 1) > 0)
        return 0;
    pid_t pid = fork();
    if (pid == 0) {
        int id = plim_reclaimer_add("child", fork_inside, arg, PLIM_LOW);
        if (id < 0 || plim_reclaimer_remove(id) != 0)
            _exit(5);
        (void)plim_reclaim(MIB);
        child_work();
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    atomic_store(&call->child_status, status);
    return 0;
}

Test(fork, fork_inside_a_reclaimer, .timeout = 300)
{
    static struct in_call call = {.child_status = -1};
    int id = plim_reclaimer_add("fork", fork_inside, &call, PLIM_LOW);
    cr_assert_geq(id, 0);
    for (unsigned i = 0; i < 600 && atomic_load(&call.child_status) == -1; i++)
        (void)plim_reclaim(1024 * MIB); /* waits a second at most, each time */
    cr_expect_eq(atomic_load(&call.child_status), 0, "status %x", atomic_load(&call.child_status));
    cr_expect_eq(plim_reclaimer_remove(id), 0);
}

static size_t count_call(const struct plim_pressure *p, void *arg)
{
    struct in_call *call = arg;
    (void)p;
    atomic_fetch_add(&call->calls, 1);
    return 0;
}

Test(fork, reclaimers_are_called_in_the_child_too, .timeout = 300)
{
    static struct in_call call;
    cr_assert_geq(plim_reclaimer_add("count", count_call, &call, PLIM_LOW), 0);
    for (unsigned i = 0; i < 100 && atomic_load(&call.calls) == 0; i++)
        (void)plim_reclaim(1024 * MIB);
    cr_assert_gt(atomic_load(&call.calls), 0u);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(100);
        atomic_store(&call.calls, 0);
        for (unsigned i = 0; i < 90 && atomic_load(&call.calls) == 0; i++)
            (void)plim_reclaim(1024 * MIB);
        _exit(atomic_load(&call.calls) > 0 ? 0 : 6);
    }
    assert_child_ends_well(pid);
}

static size_t hold_up(const struct plim_pressure *p, void *arg)
{
    (void)p, (void)arg;
    while (!atomic_load(&stop))
        usleep(1000);
    return 0;
}

Test(fork, child_may_remove_a_reclaimer_that_runs_in_the_parent, .timeout = 300)
{
    int id = plim_reclaimer_add("hold", hold_up, NULL, PLIM_LOW);
    cr_assert_geq(id, 0);
    (void)plim_reclaim(1024 * MIB); /* gives up after a second; the call goes on */
    pid_t pid = fork();
    if (pid == 0) {
        alarm(100);
        _exit(plim_reclaimer_remove(id) == 0 ? 0 : 7);
    }
    assert_child_ends_well(pid);
    atomic_store(&stop, true);
}

/* --- other ways to start a program --- */

static size_t give_nothing(const struct plim_pressure *p, void *arg)
{
    (void)p, (void)arg;
    return 0;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* If the child waited for a watcher, each call would take a second; one shorter call in five is
 * enough. */
Test(fork, child_that_no_handler_has_seen_waits_for_no_watcher, .timeout = 300)
{
    cr_assert_geq(plim_reclaimer_add("nothing", give_nothing, NULL, PLIM_MEDIUM), 0);
    (void)plim_reclaim(1024 * MIB); /* there is a watcher from here on */
    pid_t pid = _Fork();
    if (pid == 0) {
        double shortest = 2;
        for (unsigned i = 0; i < 5; i++) {
            double start = seconds();
            (void)plim_reclaim(1024 * MIB);
            double took = seconds() - start;
            shortest = took < shortest ? took : shortest;
        }
        _exit(shortest < 0.9 ? 0 : 7);
    }
    assert_child_ends_well(pid);
}

Test(fork, posix_spawn_while_threads_allocate, .timeout = 300)
{
    pthread_t threads[4];
    char *const argv[] = {(char[]){"true"}, NULL};
    for (uintptr_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, keep_allocating, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < 30; i++) {
        pid_t pid;
        cr_assert_eq(posix_spawnp(&pid, "true", NULL, NULL, argv, environ), 0);
        assert_child_ends_well(pid);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}
