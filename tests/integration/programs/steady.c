/*
 * A heap that neither grows nor shrinks: a window of its blocks is freed and, after a pause,
 * allocated anew, at a steady rate, until SIGTERM. The window's size differs a little each time, so
 * that looks do not take the heap for one that stands still.
 *   steady [--live-mib 100] [--window-mib 4] [--pause-ms 20]
 * Prints live=1 when the heap is there, and then every 20 rounds, counted from there: rounds=N
 * purges=N (not in rounds of 100 ms and more) calls=N (its reclaimer's) waited_ms=N level=N (the
 * highest seen) usage_mib=N (the most seen). Exits 1 where a block was damaged or refused. Needs
 * the library.
 */
#include "stats_now.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 64 << 10, BLOCKS_MAX = 1 << 14, TOLD_EVERY = 20, DIFFER = 8 };

/* A process that gets no CPU for longer may be taken for idle, and an idle heap is purged. */
static const double stalled_s = 0.1;

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

struct seen {
    struct plim_stats first, last;
    double last_s;
    uint64_t purges, usage;
    int level, calls_before;
};

static void see(struct seen *seen)
{
    struct plim_stats now = stats_now();
    double time_s = now_s();
    if (time_s - seen->last_s < stalled_s)
        seen->purges += now.purges - seen->last.purges;
    if (now.usage > seen->usage)
        seen->usage = now.usage;
    if ((int)plim_level() > seen->level)
        seen->level = (int)plim_level();
    seen->last = now;
    seen->last_s = time_s;
}

static void tell(const struct seen *seen, unsigned rounds)
{
    printf("rounds=%u purges=%llu calls=%d waited_ms=%.3f level=%d usage_mib=%.1f\n", rounds,
           (unsigned long long)seen->purges, atomic_load(&calls) - seen->calls_before,
           (double)(seen->last.throttle_ns - seen->first.throttle_ns) / 1e6, seen->level,
           (double)seen->usage / 1048576);
}

static void go_on(size_t count, size_t window, double pause_s)
{
    struct seen seen = {
        .first = stats_now(), .last_s = now_s(), .calls_before = atomic_load(&calls)};
    seen.last = seen.first;
    for (unsigned round = 1; !ended; round++) {
        size_t from = round * window % (count - window + 1), now = window - round % DIFFER;
        check_and_free(from, now);
        sleep_s(pause_s / 2); /* time for a look of the watcher, which finds free pages */
        make(from, now);
        see(&seen);
        if (round % TOLD_EVERY == 0)
            tell(&seen, round);
        sleep_s(pause_s / 2);
    }
}

int main(int argc, char **argv)
{
    size_t count = (size_t)(option_number(argc, argv, "live-mib", 100) * 1048576) / BLOCK;
    size_t window = (size_t)(option_number(argc, argv, "window-mib", 4) * 1048576) / BLOCK;
    double pause_s = option_number(argc, argv, "pause-ms", 20) / 1000;
    setlinebuf(stdout);
    signal(SIGTERM, end);
    if (!plim_present())
        die("needs the library");
    if (count > BLOCKS_MAX || window < DIFFER || window > count)
        die("no such heap");
    plim_reclaimer_add("steady", count_call, NULL, PLIM_LOW);
    make(0, count);
    printf("live=1\n");
    go_on(count, window, pause_s);
    return 0;
}
