/* What the tests of fork() share: the work of a child, and how it must end. */
#ifndef PLIM_TEST_FORK_CASE_H
#define PLIM_TEST_FORK_CASE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <plimsoll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static _Atomic bool stop;

/* Allocates, writes to and frees some hundred blocks of all sizes. */
static inline void allocate_and_free(unsigned *seed, unsigned steps)
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

static inline void *allocate_once(void *arg)
{
    unsigned seed = 5;
    allocate_and_free(&seed, 200);
    return arg;
}

/* What a child does, until its end; SIGALRM ends it if it hangs. */
static inline _Noreturn void child_work(void)
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

static inline void assert_child_ends_well(pid_t pid)
{
    int status;
    cr_assert_gt(pid, 0);
    while (waitpid(pid, &status, 0) < 0)
        cr_assert_eq(errno, EINTR);
    cr_assert_eq(status, 0, "exit status %d, signal %d", WEXITSTATUS(status), WTERMSIG(status));
}

#endif
