/*
 * A reclaimer that gives nothing while a lock is taken, as by a long query, and then all of a cache
 * that fills a box of 256 MiB to a little past its soft limit. Once the lock is free the program
 * needs 100 MiB for something else.
 *   busy briefly      the lock is taken for six seconds
 *   busy given_up     until the library says that it cannot meet the limit
 *   busy one_request  the same, and then they are needed in one block
 * Prints busy_calls=N (of the reclaimer, while the lock was taken), cached_mib=N (at the end) and
 * ok=1. Needs the library.
 */
#include "stats_now.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const size_t MIB = 1048576, NEEDED = 100;
static const double patience_s = 60, step_s = 0.002;

static pthread_mutex_t query = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned calls;
static struct block_queue cache = BLOCK_QUEUE_INIT;

static size_t shrink(const struct plim_pressure *pressure, void *arg)
{
    size_t freed = 0;
    struct block *block;
    (void)arg;
    atomic_fetch_add(&calls, 1);
    if (pthread_mutex_trylock(&query) != 0)
        return 0;
    while (freed < pressure->target && (block = block_queue_take(&cache)) != NULL) {
        freed += block->size;
        free(block);
    }
    pthread_mutex_unlock(&query);
    return freed;
}

static struct block *need(size_t bytes)
{
    size_t held;
    struct block *block = block_new(bytes, &held);
    if (!block)
        die("malloc failed");
    return block;
}

static void fill_cache(void)
{
    struct plim_limits limits = {.size = sizeof(limits)};
    do {
        block_queue_add(&cache, need(100 * 1024));
        if (plim_limits(&limits) != 0)
            die("no limits");
    } while (stats_now().usage < limits.soft + MIB);
}

/* Allocates all the while, and no more than it frees. */
static void run_query(double seconds)
{
    for (double end = now_s() + seconds; now_s() < end && !stats_now().cannot_meet_limit;) {
        free(need(30000));
        sleep_s(step_s);
    }
}

static void busy(double seconds, size_t block_bytes)
{
    pthread_mutex_lock(&query);
    if (plim_reclaimer_add("cache", shrink, NULL, PLIM_MEDIUM) < 0)
        die("cannot add a reclaimer");
    fill_cache();
    run_query(seconds);
    printf("busy_calls=%u\n", atomic_load(&calls));
    fflush(stdout);
    pthread_mutex_unlock(&query);
    struct block_queue others = BLOCK_QUEUE_INIT;
    for (size_t needed = 0; needed < NEEDED * MIB; needed += block_bytes)
        block_queue_add(&others, need(block_bytes));
    size_t cached = 0;
    for (struct block *block; (block = block_queue_take(&cache)) != NULL;)
        cached += block->size;
    printf("cached_mib=%zu\n", cached / MIB);
}

static void briefly(void)
{
    busy(6, MIB);
}

static void given_up(void)
{
    busy(patience_s, MIB);
}

static void one_request(void)
{
    busy(patience_s, NEEDED * MIB);
}

int main(int argc, char **argv)
{
    static const struct scenario scenarios[] = {
        {"briefly", briefly}, {"given_up", given_up}, {"one_request", one_request}};
    scenario_run(scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc > 1 ? argv[1] : NULL);
    return 0;
}
