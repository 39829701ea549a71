/*
 * The numbers of plim_stats() and of the stats page.
 */
#ifndef PLIM_STATS_H
#define PLIM_STATS_H

#include "governor.h"
#include "stats_page.h"

/* The values of PAGE_COUNTER fields; the others stay 0. Written by the thread that does the work,
 * relaxed: only statistics. */
extern _Atomic uint64_t counters[PAGE_FIELD_COUNT] PLIM_HIDDEN;

static inline void counter_add(enum page_field counter, uint64_t n)
{
    atomic_fetch_add_explicit(&counters[counter], n, memory_order_relaxed);
}

/* Fills all that stats_page.h lists except the limits, which only a look knows, and the peaks of
 * looks. Call with the look lock held: otherwise an arena may be read while it is destroyed. */
void stats_fill(uint64_t values[PAGE_FIELD_COUNT]);
/* Brings the stats page up to date after a look. granted: bytes of a request that it let through.
 * Call with the look lock held. */
void stats_publish(const struct governor_input *in, uint64_t granted);
/* In a forked child: what the parent did is on the parent's page. */
void stats_fork_child(void);

#endif
