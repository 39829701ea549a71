/* fork(): the child can allocate at once, whatever other threads were doing. */
#include "fork_case.h"

#include <criterion/criterion.h>
#include <plimsoll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void *keep_allocating(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&stop))
        allocate_and_free(&seed, 200);
    return NULL;
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
