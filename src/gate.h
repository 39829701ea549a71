/*
 * The one compare between a program and jemalloc.
 *
 * A request of at least gate.smallest bytes stops and looks (admit_request); a smaller one goes
 * straight through. 0 stops everything: before the library is set up, when a look is due, and while
 * threads are held back.
 */
#ifndef PLIM_GATE_H
#define PLIM_GATE_H

#include "base.h"

#include <stdatomic.h>

struct gate {
    /* Written by whoever looks, lowered where pages are taken. Relaxed: a thread that sees an old
     * value goes through once more, or looks once too often; neither matters. */
    _Atomic size_t smallest;
} CACHE_ALIGNED;

extern struct gate gate PLIM_HIDDEN;

/* Requests of this size are checked against the headroom before they are made. */
#define GATE_OPEN ((size_t)1 << 20)
/* Nothing is watched. */
#define GATE_OFF SIZE_MAX

static inline bool gate_stops(size_t size)
{
    return unlikely(size >= atomic_load_explicit(&gate.smallest, memory_order_relaxed));
}

static inline void gate_set(size_t smallest)
{
    atomic_store_explicit(&gate.smallest, smallest, memory_order_relaxed);
}

#endif
