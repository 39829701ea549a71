/*
 * Where the gate stops an allocating thread: it looks if a look is due, empties its cache if asked
 * to, and at the limit waits or is refused.
 */
#ifndef PLIM_ADMIT_H
#define PLIM_ADMIT_H

#include "account.h"
#include "requests.h"

/* What looks leave for allocating threads to go by. */
struct admit {
    /* Committed and promised bytes from which on threads wait for a look under way. Set by looks,
     * lowered by what may have come back in slabs. */
    _Atomic uint64_t stop_at;
    /* Committed bytes at which usage may reach LOW. Set by looks. */
    _Atomic uint64_t low_at;
    /* Free pages, in bytes, from which on a freeing thread looks; 0: it does not. */
    _Atomic uint64_t look_freed;
    /* How old the last look may be for a thread that fills slabs, however little is committed, in
     * ns; 0: any age. */
    _Atomic uint64_t look_refilled_ns;
    _Atomic uint64_t looked_ns;   /* when the last look was */
    _Atomic uint32_t flush_epoch; /* raised when threads should empty their caches */
};

extern struct admit admit PLIM_HIDDEN;

/* Requests from here on are judged before they are made, and may be refused. */
#define LARGE_REQUEST GATE_OPEN

/* Boots, looks if a look is due, waits at the limit. false: refuse with ENOMEM. Keeps errno. Call
 * with no lock of jemalloc's held, and requests_served() when a large request has its pages, or was
 * refused them. */
bool admit_request(size_t size);
/* With so much more, and all that is committed in use, usage may reach LOW. */
static inline bool admit_may_come_to_low(uint64_t bytes)
{
    return account_committed() + bytes >= atomic_load_explicit(&admit.low_at, memory_order_relaxed);
}
/* Threads were asked to empty their caches, and the calling one has not yet done so. */
static inline bool admit_flush_wanted(void)
{
    return thread_state.flush_epoch !=
           atomic_load_explicit(&admit.flush_epoch, memory_order_relaxed);
}
/* Empties the calling thread's cache. Keeps errno. */
void admit_flush(void);
/* Freeing threads are to look once there is much to give back. */
static inline bool admit_freed_wanted(void)
{
    return atomic_load_explicit(&admit.look_freed, memory_order_relaxed) != 0;
}
/* Has the calling thread look, if there is much. Keeps errno. */
void admit_freed(void);
/* Pages given back in slabs may return, which commits nothing. */
static inline bool admit_refilled_wanted(void)
{
    return atomic_load_explicit(&admit.look_refilled_ns, memory_order_relaxed) != 0;
}
/* Called then by a thread that has allocated 64 KiB: makes the next look due if it should be. */
void admit_refilled(void);

#endif
