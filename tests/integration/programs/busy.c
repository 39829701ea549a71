/*
 * A reclaimer that gives nothing while a query runs, and then all of a cache that fills a box of
 * 256 MiB to a little past its soft limit. Afterwards the program needs 100 MiB for something else.
 *   busy briefly      the query takes six seconds
 *   busy given_up     the query ends when the library says that it cannot meet the limit
 *   busy one_request  the same, and the 100 MiB are needed in one block
 *   busy late         in one block as well, 300 ms before the query ends
 *   busy slowly       likewise, and the reclaimer takes 300 ms to free it
 * Prints busy_calls=N (of the reclaimer, during the query), cached_mib=N (at the end) and ok=1.
 * Needs the library.
 */
#include "stats_now.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static const size_t MIB = 1048576, NEEDED = 100;
static const double patience_s = 60, step_s = 0.002, late_s = 0.3;

static _Atomic bool query_runs = true;
static _Atomic unsigned calls;
static double takes_s; /* until the reclaimer frees any */
static struct block_queue cache = BLOCK_QUEUE_INIT;

static size_t shrink(const struct plim_pressure *pressure, void *arg)
{
    (void)arg;
    atomic_fetch_add(&calls, 1);
    if (atomic_load(&query_runs))
        return 0;
    sleep_s(takes_s);
    return block_queue_drop(&cache, pressure->target, false);
}

static void fill_cache(void)
{
    do
        block_queue_add(&cache, block_must_have(100 * 1024));
    while (!past_soft_limit());
}

/* Allocates all the while, and no more than it frees. */
static void run_query(double seconds)
{
    for (double end = now_s() + seconds; now_s() < end && !stats_now().cannot_meet_limit;) {
        free(block_must_have(30000));
        sleep_s(step_s);
    }
}

static void *end_query_late(void *arg)
{
    sleep_s(late_s);
    atomic_store(&query_runs, false);
    return arg;
}

static void busy(double seconds, size_t block_bytes, bool late)
{
    struct block_queue others = BLOCK_QUEUE_INIT;
    pthread_t thread;
    if (plim_reclaimer_add("cache", shrink, NULL, PLIM_MEDIUM) < 0)
        die("cannot add a reclaimer");
    fill_cache();
    run_query(seconds);
    printf("busy_calls=%u\n", atomic_load(&calls));
    fflush(stdout);
    atomic_store(&query_runs, late);
    if (late && pthread_create(&thread, NULL, end_query_late, NULL) != 0)
        die("cannot start a thread");
    for (size_t needed = 0; needed < NEEDED * MIB; needed += block_bytes)
        block_queue_add(&others, block_must_have(block_bytes));
    printf("cached_mib=%zu\n", block_queue_drop(&cache, SIZE_MAX, false) / MIB);
    if (late)
        pthread_join(thread, NULL);
}

static void briefly(void)
{
    busy(6, MIB, false);
}

static void given_up(void)
{
    busy(patience_s, MIB, false);
}

static void one_request(void)
{
    busy(patience_s, NEEDED * MIB, false);
}

static void late(void)
{
    busy(2, NEEDED * MIB, true);
}

static void slowly(void)
{
    takes_s = late_s;
    busy(2, NEEDED * MIB, true);
}

int main(int argc, char **argv)
{
    static const struct scenario scenarios[] = {{"briefly", briefly},
                                                {"given_up", given_up},
                                                {"one_request", one_request},
                                                {"late", late},
                                                {"slowly", slowly}};
    scenario_run(scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc > 1 ? argv[1] : NULL);
    return 0;
}
