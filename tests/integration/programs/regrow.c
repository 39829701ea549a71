/*
 * Large blocks that are grown by realloc, an eighth at a time, beyond what is free behind them.
 *   regrow [--mib 60] [--threads 1] [--forked]
 * Together the threads hold --mib in the end. --forked: instead, a block of 80 MiB grows by 10 MiB
 * while a child shares it, beside a cache of 60 MiB that a slow reclaimer empties. Each word is
 * checked when a block has grown; then it shrinks to a quarter, and is checked again. Prints
 * refused=N, wrong=N and ok=1 at the end.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "workload.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t most; /* bytes of each thread */
static _Atomic unsigned refused, wrong;

static void fill(uint64_t *words, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        words[i] = i * 0x9e3779b97f4a7c15u;
}

static void check(const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wrong += words[i] != i * 0x9e3779b97f4a7c15u;
}

static void *grow(void *arg)
{
    size_t count = 1 << 16;
    uint64_t *words = malloc(count * sizeof(*words));
    if (!words)
        die("malloc failed");
    fill(words, 0, count);
    while (count * sizeof(*words) < most) {
        size_t more = count + count / 8;
        uint64_t *grown = realloc(words, more * sizeof(*words));
        if (!grown) {
            refused++;
            break;
        }
        words = grown;
        fill(words, count, more);
        count = more;
    }
    check(words, count);
    words = realloc(words, count / 4 * sizeof(*words));
    if (words)
        check(words, count / 4);
    free(words);
    return arg;
}

static void *cache;

static size_t empty(const struct plim_pressure *pressure, void *arg)
{
    (void)pressure, (void)arg;
    sleep_s(0.15);
    free(cache);
    cache = NULL;
    return 0;
}

/* Giving the block's pages back frees nothing while the child has them as well. */
static void grow_what_a_child_shares(void)
{
    const size_t mib = 1048576, words = 80 * mib / sizeof(uint64_t);
    uint64_t *block = malloc(80 * mib);
    if (!block)
        die("malloc failed");
    fill(block, 0, words);
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    cache = malloc(60 * mib);
    if (child < 0 || !cache || plim_reclaimer_add("cache", empty, NULL, PLIM_MEDIUM) < 0)
        die("no child, cache or reclaimer");
    memset(cache, 1, 60 * mib);
    sleep_s(0.5);
    uint64_t *grown = realloc(block, 90 * mib);
    refused += !grown;
    check(grown ? grown : block, words);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void grow_on_threads(size_t count, size_t bytes)
{
    enum { THREADS_MAX = 16 };
    pthread_t threads[THREADS_MAX];
    if (count == 0 || count > THREADS_MAX)
        die("--threads: from 1 to 16");
    most = bytes / count;
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, grow, NULL) != 0)
            die("cannot start a thread");
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    if (option_given(argc, argv, "forked"))
        grow_what_a_child_shares();
    else
        grow_on_threads((size_t)option_number(argc, argv, "threads", 1),
                        (size_t)(option_number(argc, argv, "mib", 60) * 1048576));
    printf("refused=%u wrong=%u ok=1\n", refused, wrong);
    return 0;
}
