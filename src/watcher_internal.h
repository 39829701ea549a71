/* What watcher*.c share, see watcher.h. */
#ifndef PLIM_WATCHER_INTERNAL_H
#define PLIM_WATCHER_INTERNAL_H

#include "watcher.h"

enum watcher_state { WATCHER_NONE, WATCHER_STARTING, WATCHER_RUNNING, WATCHER_PAUSED };

/* In place of a thread's number, until it tells that. */
#define WATCHER_STARTED UINT32_MAX

/* Nobody waits any more for a pass of reclaimers that takes longer. */
static const uint64_t pass_lost_ns = 10 * NS_PER_S;

/* True: it was `from`, and is `to` now. */
static inline bool watcher_swap(_Atomic uint32_t *at, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong_explicit(at, &from, to, memory_order_seq_cst,
                                                   memory_order_seq_cst);
}

/* A detached thread with signals blocked but for those of faults, with the stack that reclaimers
 * are promised, of the usual scheduling class and on the CPUs that the process started with, if it
 * may; 0 or what pthread_create() says. */
int watcher_create_thread(void *(*body)(void *), uint32_t turn);
/* It could not be made. Programs without reclaimers do well without it; others hear of it once. */
void watcher_report_missing(int rc);
/* What each thread of the watcher's does first. */
void watcher_begin(void);
/* Watches on the calling thread, for as long as it is that turn's. */
void watcher_watch(uint32_t turn);
/* One look, in that turn, with what is due after it; returns the time until the next. */
uint64_t watcher_look(uint32_t turn);
/* Listens to what a service manager named, and acts on what that has told. */
void watcher_listen_outside(void);
void watcher_hear_outside(void);
/* Ends the watcher's sleep, whatever state it is in. */
void watcher_rouse(void);
/* Whether its next look is to ask reclaimers whatever the usage; and, for a call, for so much. */
bool watcher_is_asked(void);
void watcher_ask_for_call(uint64_t bytes);
/* Has another thread stand by while a pass of reclaimers runs. */
void watcher_stand_by(void);

#endif
