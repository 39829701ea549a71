/*
 * Committed bytes: pages that jemalloc holds for arenas' extents, exact (pages.c); and which arenas
 * there are.
 *
 * Counting happens under jemalloc's locks, so it only adds, compares, and at most lowers the gate.
 */
#ifndef PLIM_ACCOUNT_H
#define PLIM_ACCOUNT_H

#include "gate.h"

enum { ACCOUNT_ARENAS = 4096 }; /* jemalloc's own limit is 4095 */

struct account {
    /* Written wherever pages are taken or given back, read by looks. Relaxed: only a count. */
    _Atomic int64_t committed;
    /* The most that `committed` has been. Raised wherever pages are taken. */
    _Atomic int64_t peak;
    /* The count at which the next look is due. Written by looks. */
    _Atomic int64_t look_at;
    /* One more than the highest index of an arena ever made. Raised by whoever makes one. */
    _Atomic unsigned arena_count;
} CACHE_ALIGNED;

extern struct account account PLIM_HIDDEN;
/* By arena, where jemalloc counts its pages in use. NULL: no arena, or one whose pages are not
 * counted here; &account_new: made, but not found yet (arenas.c). */
extern _Atomic(const size_t *) account_active_pages[ACCOUNT_ARENAS] PLIM_HIDDEN;
extern const size_t account_new PLIM_HIDDEN; /* 0 */

/* The arena exists, and its pages are counted here. */
static inline bool arena_is_counted(unsigned arena)
{
    return arena < ACCOUNT_ARENAS &&
           atomic_load_explicit(&account_active_pages[arena], memory_order_relaxed) != NULL;
}

static inline void account_add(int64_t bytes)
{
    int64_t now =
        atomic_fetch_add_explicit(&account.committed, bytes, memory_order_relaxed) + bytes;
    int64_t peak = atomic_load_explicit(&account.peak, memory_order_relaxed);
    while (unlikely(now > peak) &&
           !atomic_compare_exchange_weak_explicit(&account.peak, &peak, now, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
    if (bytes > 0 && now >= atomic_load_explicit(&account.look_at, memory_order_relaxed) &&
        atomic_load_explicit(&gate.smallest, memory_order_relaxed) != GATE_OFF)
        gate_set(0);
}

/* An arena whose pages are counted here begins, or its index is used anew. */
void account_arena_made(unsigned arena);
/* An arena ends. */
void account_arena_gone(unsigned arena);

/* Arenas that were ever made have indices below this. */
static inline unsigned account_arenas(void)
{
    return atomic_load_explicit(&account.arena_count, memory_order_relaxed);
}

static inline uint64_t account_committed(void)
{
    int64_t c = atomic_load_explicit(&account.committed, memory_order_relaxed);
    return c > 0 ? (uint64_t)c : 0;
}

/* Sets the gate to `smallest` unless a look is due. */
static inline void account_open_gate(size_t smallest)
{
    gate_set(smallest);
    /* A thread that committed before that store may have seen an old look_at, or its 0 was
     * overwritten. */
    if (atomic_load_explicit(&account.committed, memory_order_relaxed) >=
        atomic_load_explicit(&account.look_at, memory_order_relaxed))
        gate_set(0);
}

/* Makes the next look due once `bytes` more are committed, and sets the gate to `smallest` unless a
 * look is due already. */
static inline void account_look_after(uint64_t bytes, size_t smallest)
{
    int64_t now = atomic_load_explicit(&account.committed, memory_order_relaxed);
    int64_t due = now + (int64_t)u64_min(bytes, (uint64_t)INT64_MAX / 2);
    atomic_store_explicit(&account.look_at, due, memory_order_relaxed);
    account_open_gate(smallest);
}

/* Makes a look due at the next allocation. */
static inline void account_look_now(void)
{
    atomic_store_explicit(&account.look_at, INT64_MIN, memory_order_relaxed);
    gate_set(0);
}

/* Bytes that can still be committed before a look is due. */
static inline uint64_t account_until_look(void)
{
    int64_t look_at = atomic_load_explicit(&account.look_at, memory_order_relaxed);
    int64_t now = atomic_load_explicit(&account.committed, memory_order_relaxed);
    return look_at > now ? (uint64_t)look_at - (uint64_t)now : 0;
}

#endif
