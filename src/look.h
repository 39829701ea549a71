/*
 * One look: acquire, decide, act. One at a time, on an allocating thread or on the watcher.
 */
#ifndef PLIM_LOOK_H
#define PLIM_LOOK_H

#include "governor.h"
#include "lock.h"
#include "usage.h"

struct fmt;

struct look {
    struct lock lock; /* see look_begin() */
    /* What it guards. */
    struct usage usage;
    struct governor governor;
    struct limits limits; /* as of the last look */
    uint64_t refreshed_ns;
    uint64_t slabs_counted_ns, slabs_cost_ns; /* counting free blocks: when last, its CPU time */
    /* Written under the lock, read by all. Relaxed: as of the last look. */
    _Atomic uint64_t used;
    _Atomic uint32_t level;
    _Atomic uint32_t cannot_meet;
};

extern struct look look PLIM_HIDDEN;

/* Usage as of the last look. */
static inline uint64_t look_usage(void)
{
    return atomic_load_explicit(&look.used, memory_order_relaxed);
}

/* An allocating thread waits this long for the look lock: its holder only reads and purges, but may
 * have been preempted. */
static const uint64_t look_wait_ns = NS_PER_S;

/* A turn at what the look lock guards: whether the lock was taken, and whether the thread was
 * inside (thread_state.inside) before. */
struct look_turn {
    bool had, was_inside;
};
/* Takes the look lock; there is no other way to it. The thread counts as inside from before the
 * lock is taken until it is given back: what it allocates meanwhile passes through (hooks of the
 * program's own may allocate), and signal handlers may fork where no lock of jemalloc's is held. 0:
 * do not wait; UINT64_MAX: wait for ever. */
struct look_turn look_begin(uint64_t within_ns);
/* The same, but does not wait where this thread holds the lock: a signal handler came between. */
struct look_turn look_begin_unless_own(uint64_t within_ns);
/* Does nothing where the lock was not taken. */
void look_end(struct look_turn turn);

enum look_by { LOOK_BY_GROWTH, LOOK_BY_WATCHER, LOOK_ASIDE }; /* see governor_input */
/* One look. `request` bytes are about to be allocated; they are promised if there is room. Call
 * with the lock held. */
void look_locked(uint64_t request, enum look_by by, struct governor_input *in,
                 struct governor_decision *ret);
/* One look of an allocating thread, or of a caller's; false: no turn within the time. */
bool look_once(uint64_t within_ns, uint64_t request, struct governor_input *in,
               struct governor_decision *ret);
/* Whether so many bytes more would leave usage below LOW, had all free pages gone. Reads usage,
 * unless somebody has a moment ago, and decides nothing. */
bool look_fits_below_low(uint64_t bytes);
/* Logs when, as of that look, the limit cannot be met or can be met again. Call with the lock
 * held. */
void look_meets(const struct governor_input *in);
/* "usage ..., soft limit ..., hard limit ...": usage as of the last look. */
void look_fmt_standing(struct fmt *f, const struct limits *limits);
/* A block has moved as it grew, and what it asks for next is larger than what it left. Gives as
 * much back, unless there are no more free pages than its new size, as these may serve that next
 * time; nothing where another thread looks just now. Keeps errno. */
void look_block_moved(uint64_t old_size, uint64_t size);
/* Gives back free pages now, at least `bytes` or all there are; returns the bytes that went. */
uint64_t look_purge(uint64_t bytes);

#endif
