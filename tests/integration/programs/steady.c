/*
 * A heap that neither grows nor shrinks: a window of its blocks is freed and, after a pause,
 * allocated anew, at a steady rate, until SIGTERM.
 *   steady [--live-mib 100] [--window-mib 4] [--pause-ms 20]
 * Prints live=1 when the heap is there, rounds=N while it goes on. At the end, of the time since
 * then: purges=N calls=N (its reclaimer's) waited_ms=N level=N (the highest seen), and usage_mib=N
 * (the most seen). Exits 1 where a block was damaged or refused. Needs the library.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "workload.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 64 << 10, BLOCKS_MAX = 1 << 14, TOLD_EVERY = 20 };

static struct block *blocks[BLOCKS_MAX];
static volatile sig_atomic_t ended;
static _Atomic int calls;

static void end(int sig)
{
    (void)sig;
    ended = 1;
}

static size_t count_call(const struct plim_pressure *pressure, void *arg)
{
    (void)pressure, (void)arg;
    atomic_fetch_add(&calls, 1);
    return 0;
}

static struct plim_stats stats_now(void)
{
    struct plim_stats stats = {.size = sizeof(stats)};
    if (plim_stats(&stats) != 0)
        die("no figures");
    return stats;
}

static void make(size_t from, size_t count)
{
    size_t held;
    for (size_t i = from; i < from + count; i++) {
        if (!(blocks[i] = block_new(BLOCK, &held)))
            die("malloc failed");
    }
}

static void check_and_free(size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++) {
        if (!block_is_intact(blocks[i]))
            die("a block was damaged");
        free(blocks[i]);
    }
}

int main(int argc, char **argv)
{
    size_t count = (size_t)(option_number(argc, argv, "live-mib", 100) * 1048576) / BLOCK;
    size_t window = (size_t)(option_number(argc, argv, "window-mib", 4) * 1048576) / BLOCK;
    double pause_s = option_number(argc, argv, "pause-ms", 20) / 1000;
    uint64_t usage = 0;
    int level = 0;
    setlinebuf(stdout);
    signal(SIGTERM, end);
    if (!plim_present())
        die("needs the library");
    if (count > BLOCKS_MAX || window == 0 || window > count)
        die("no such heap");
    plim_reclaimer_add("steady", count_call, NULL, PLIM_LOW);
    make(0, count);
    printf("live=1\n");
    struct plim_stats before = stats_now(), now = before;
    for (unsigned round = 1, calls_before = atomic_load(&calls); !ended; round++) {
        size_t from = round * window % (count - window + 1);
        check_and_free(from, window);
        sleep_s(pause_s / 2); /* free pages: a watcher's look finds them */
        make(from, window);
        now = stats_now();
        usage = now.usage > usage ? now.usage : usage;
        level = (int)plim_level() > level ? (int)plim_level() : level;
        if (round % TOLD_EVERY == 0)
            printf("rounds=%u purges=%.0f calls=%u waited_ms=%.3f level=%d usage_mib=%.1f\n", round,
                   (double)(now.purges - before.purges),
                   (unsigned)atomic_load(&calls) - calls_before,
                   (double)(now.throttle_ns - before.throttle_ns) / 1e6, level,
                   (double)usage / 1048576);
        sleep_s(pause_s / 2);
    }
    return 0;
}
