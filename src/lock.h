/*
 * A lock of one word that works inside malloc, needs no set-up, and can be reset after fork.
 * Not recursive.
 */
#ifndef PLIM_LOCK_H
#define PLIM_LOCK_H

#include "sys.h"

struct lock {
    _Atomic uint32_t word; /* 0 free, 1 held, 2 held and waited for */
};

static inline bool lock_try(struct lock *l)
{
    uint32_t is_free = 0;
    return atomic_compare_exchange_strong_explicit(&l->word, &is_free, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void lock_take(struct lock *l)
{
    if (lock_try(l))
        return;
    while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0)
        (void)sys_futex_wait(&l->word, 2, UINT64_MAX);
}

/* false: not had within the time. */
static inline bool lock_take_within(struct lock *l, uint64_t ns)
{
    if (lock_try(l))
        return true;
    uint64_t end = sys_now_ns() + ns;
    while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0) {
        uint64_t now = sys_now_ns();
        if (now >= end)
            return false; /* the mark stays 2: one wake-up too many, nothing lost */
        (void)sys_futex_wait(&l->word, 2, end - now);
    }
    return true;
}

static inline void lock_release(struct lock *l)
{
    if (atomic_exchange_explicit(&l->word, 0, memory_order_release) == 2)
        (void)sys_futex_wake(&l->word, 1);
}

/* In a forked child only: whoever held it is not there. */
static inline void lock_reset(struct lock *l)
{
    atomic_store_explicit(&l->word, 0, memory_order_relaxed);
}

#endif
