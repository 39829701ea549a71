/*
 * What only the calling thread knows.
 */
#ifndef PLIM_THREAD_STATE_H
#define PLIM_THREAD_STATE_H

#include "base.h"

#include <stdatomic.h>

struct thread_state {
    bool inside; /* in a look, or a thread of the watcher's: its own requests pass through */
    bool forks;  /* in a fork that has not yet taken all locks */
    bool ours;   /* the library's own thread: jemalloc gives it no cache at first */
    uint32_t flush_epoch;      /* admit.flush_epoch as of its last flush */
    uint32_t events_unseen;    /* of jemalloc's, since it last asked what is free: admit_freed() */
    bool by_pieces;            /* the block that it resizes moves by pieces, see jemalloc/moves.c */
    unsigned held;             /* its waits for room: 1, or more where signal handlers allocate */
    uint64_t in_vain_until_ns; /* until then it does not wait for reclaimers, see at_limit.c */
    _Atomic uint64_t promised, waiting; /* its parts of those in requests.h, */
    struct thread_lately {              /* and of what was let through, in the present spell and */
        uint32_t spell;                 /* the one before */
        int64_t bytes;
    } lately[2];
    /* From the handler before a fork to the one after it: which locks to release, and which signals
     * were blocked. */
    struct fork_state {
        bool look, reclaimers, events, was_inside;
        uint64_t signals;
    } fork;
};

/* initial-exec: reached by one instruction, and never allocated on first use. It must stand here as
 * well, or every other file would reach it through a call. */
extern _Thread_local struct thread_state thread_state PLIM_HIDDEN
    __attribute__((tls_model("initial-exec")));

/* What the thread allocates until inside_leave(), signal handlers included, is not looked at.
 * Returns the argument for inside_leave(). */
static inline bool inside_enter(void)
{
    bool was_inside = thread_state.inside;
    thread_state.inside = true;
    atomic_signal_fence(memory_order_seq_cst);
    return was_inside;
}

static inline void inside_leave(bool was_inside)
{
    atomic_signal_fence(memory_order_seq_cst);
    thread_state.inside = was_inside;
}

#endif
