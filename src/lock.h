/*
 * A lock of one word that works inside malloc, needs no set-up, and can be reset after fork. Not
 * recursive. The word tells which thread holds it: a signal handler that forks must not wait for
 * what its own thread holds.
 */
#ifndef PLIM_LOCK_H
#define PLIM_LOCK_H

#include "sys.h"

struct lock {
    _Atomic uint32_t word; /* 0: free; else twice the holder's lock_number, plus LOCK_WANTED */
};

enum { LOCK_WANTED = 1 }; /* threads may be waiting for it */

/* The calling thread's number, which it keeps in a forked child; 0: none yet. */
extern _Thread_local uint32_t lock_number PLIM_HIDDEN __attribute__((tls_model("initial-exec")));
uint32_t lock_give_number(void) PLIM_HIDDEN;

static inline uint32_t lock_own_word(void)
{
    return 2 * (likely(lock_number != 0) ? lock_number : lock_give_number());
}

static inline bool lock_is_own(const struct lock *l)
{
    uint32_t word = atomic_load_explicit(&l->word, memory_order_relaxed);
    return word != 0 && (word & ~(uint32_t)LOCK_WANTED) == lock_own_word();
}

static inline bool lock_try(struct lock *l)
{
    uint32_t is_free = 0;
    return atomic_compare_exchange_strong_explicit(&l->word, &is_free, lock_own_word(),
                                                   memory_order_acquire, memory_order_relaxed);
}

/* false: not taken within the time; UINT64_MAX: for ever. LOCK_WANTED stays set, as others may wait
 * too, even where this thread gives up just after it was woken in their place. If nobody waits that
 * costs one wake-up too many. */
static inline bool lock_take_within(struct lock *l, uint64_t ns)
{
    if (lock_try(l))
        return true;
    if (ns == 0)
        return false;
    const uint32_t own = lock_own_word() | LOCK_WANTED;
    const uint64_t end = u64_add(sys_now_ns(), ns);
    for (;;) {
        uint32_t word = 0;
        if (atomic_compare_exchange_strong_explicit(&l->word, &word, own, memory_order_acquire,
                                                    memory_order_relaxed))
            return true;
        const uint32_t wanted = word | LOCK_WANTED;
        if (word != wanted &&
            !atomic_compare_exchange_strong_explicit(&l->word, &word, wanted, memory_order_relaxed,
                                                     memory_order_relaxed))
            continue;
        uint64_t now = sys_now_ns();
        if (now >= end)
            return false;
        (void)sys_futex_wait(&l->word, wanted, end == UINT64_MAX ? end : end - now);
    }
}

static inline void lock_take(struct lock *l)
{
    (void)lock_take_within(l, UINT64_MAX);
}

/* Does nothing where the lock was reset meanwhile: a signal handler forked, and this is the
 * child. */
static inline void lock_release(struct lock *l)
{
    const uint32_t own = lock_own_word();
    uint32_t word = own;
    while (!atomic_compare_exchange_strong_explicit(&l->word, &word, 0, memory_order_release,
                                                    memory_order_relaxed)) {
        if (word != (own | LOCK_WANTED))
            return;
    }
    if (word != own)
        (void)sys_futex_wake(&l->word, 1);
}

/* For code that signal handlers may reach, by a fork for example. true: taken, to be released
 * later; false also where this thread holds the lock already, and keeps it. */
static inline bool lock_take_unless_own(struct lock *l, uint64_t ns)
{
    return !lock_is_own(l) && lock_take_within(l, ns);
}

/* In a forked child only, where the holder does not exist. */
static inline void lock_reset(struct lock *l)
{
    atomic_store_explicit(&l->word, 0, memory_order_relaxed);
}

#endif
