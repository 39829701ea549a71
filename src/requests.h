/*
 * Large requests of the program's threads: those that wait, those let through and not yet served,
 * and what was let through lately. No count of pages shows the first two.
 *
 * Any thread, and signal handlers, may call these. Relaxed: each is only a count.
 */
#ifndef PLIM_REQUESTS_H
#define PLIM_REQUESTS_H

#include "thread_state.h"

/* Bytes. */
struct requests {
    _Atomic uint64_t promised; /* let through, not served yet */
    _Atomic uint64_t waiting;  /* for which threads wait */
    /* Per thread, the largest that was let through; of the present spell and of the one before, at
     * lately[spell & 1] and beside it. */
    _Atomic uint32_t spell;
    _Atomic int64_t lately[2];
    _Atomic uint64_t limit; /* as of the last look */
};

extern struct requests requests PLIM_HIDDEN;

/* A request of so many bytes of the calling thread's is let through; done once for each. */
void requests_promise(uint64_t bytes);
/* The same, if less than `most` is promised then; false: it is not done. */
bool requests_promise_within(uint64_t bytes, uint64_t most);
/* The calling thread's request has its pages, or was refused them. */
static inline void requests_served(void)
{
    /* A handler may allocate at any point. */
    uint64_t bytes = atomic_load_explicit(&thread_state.promised, memory_order_relaxed);
    if (unlikely(bytes > 0)) {
        bytes = atomic_exchange_explicit(&thread_state.promised, 0, memory_order_relaxed);
        count_down(&requests.promised, bytes);
    }
}
/* The calling thread waits to make a request of so many bytes; 0: a small one. */
void requests_wait_begin(uint64_t bytes);
void requests_wait_end(uint64_t bytes);

/* The calling thread ends: it is about to touch nothing, nor to free any. It may allocate again. */
void requests_thread_ends(void);

/* Promised to other threads. */
uint64_t requests_promised(void);
/* Waited for by others, if the calling thread does not wait itself: they come first. */
uint64_t requests_waiting(void);
/* Of each other thread the largest one that it was let have within the last one or two seconds. It
 * may not be touched yet, and may be freed soon. Nothing of the limit's size or more is counted: it
 * cannot be touched as a whole. */
uint64_t requests_lately(void);
/* Time has passed, and there is a limit of so many bytes; UNLIMITED: none. Call at each look, with
 * its lock held. */
void requests_look(uint64_t now_ns, uint64_t limit);

/* Other threads are not in the child. */
void requests_fork_child(void);

#endif
