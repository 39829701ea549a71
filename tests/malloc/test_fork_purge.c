/* fork() while another thread purges: the child can give its pages back. */
#include "fork_case.h"

#include <criterion/criterion.h>
#include <plimsoll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* <jemalloc/jemalloc.h> need not be there. */
extern int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
extern int mallctlnametomib(const char *name, size_t *mib, size_t *miblen);
extern int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp, void *newp,
                        size_t newlen);

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

Test(fork_purge, child_gives_pages_back_though_the_parent_was_purging, .timeout = 300)
{
    fork_while_purging(purge_by_name);
}

Test(fork_purge, child_gives_pages_back_though_the_parent_was_purging_by_number, .timeout = 300)
{
    fork_while_purging(purge_by_number);
}

Test(fork_purge, child_gives_pages_back_though_the_parent_was_ageing, .timeout = 300)
{
    fork_while_purging(age_at_once);
}

static void use_first_arena(void)
{
    unsigned first = 0;
    cr_assert_eq(mallctl("thread.arena", NULL, NULL, &first, sizeof(first)), 0);
}

/* jemalloc gives the pages back by itself, without a call that a fork could wait for. */
Test(fork_purge, child_gives_pages_back_though_a_free_of_the_parents_was_giving_them_back,
     .timeout = 300)
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
Test(fork_purge, child_of_a_handler_inside_a_fork_that_waits_for_purges_gives_pages_back,
     .timeout = 300)
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
Test(fork_purge, a_fork_inside_one_that_waits_for_a_long_purge_waits_for_it_too, .timeout = 300)
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
