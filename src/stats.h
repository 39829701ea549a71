/*
 * The numbers of plim_stats() and of the stats page.
 */
#ifndef PLIM_STATS_H
#define PLIM_STATS_H

#include "governor.h"
#include "stats_page.h"

/* Written by whoever does the work, relaxed: only statistics. */
struct counters {
    _Atomic uint64_t looks, purges, purged_bytes;
    _Atomic uint64_t reclaimer_calls, reclaimer_asked, reclaimer_freed;
    _Atomic uint64_t reclaim_cpu_ns, throttle_ns, failed_requests, wakeups;
};

extern struct counters counters PLIM_HIDDEN;

static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Everything that stats_page.h lists but the limits, which only a look knows, and its peaks. Call
 * with the look lock held, or an arena that is destroyed meanwhile may be read. */
void stats_fill(uint64_t values[PAGE_FIELD_COUNT]);
/* Brings the stats page up to date after a look that let so many bytes of a request be taken. Call
 * with the look lock held. */
void stats_publish(const struct governor_input *in, uint64_t granted);
/* In a forked child: what the parent did is on the parent's page. */
void stats_fork_child(void);

#endif
