/* What watcher*.c share, see watcher.h. */
#ifndef PLIM_WATCHER_INTERNAL_H
#define PLIM_WATCHER_INTERNAL_H

#include "watcher.h"

enum watcher_state { WATCHER_NONE, WATCHER_STARTING, WATCHER_RUNNING, WATCHER_PAUSED };

/* In place of a thread's number, until the thread stores it. */
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
/* The thread could not be made. Only programs with reclaimers miss it: they are warned, once. */
void watcher_report_missing(int rc);
/* What each of the watcher's threads does first. */
void watcher_begin(void);
/* Watches on the calling thread for as long as `turn` is the present one. */
void watcher_watch(uint32_t turn);
/* One look, in that turn, and what is due after it; returns the time until the next, in ns. */
uint64_t watcher_look(uint32_t turn);
/* Listens to the pressure source that a service manager named, and acts on what it has told. */
void watcher_listen_outside(void);
void watcher_hear_outside(void);
/* Ends the watcher's sleep, whatever state it is in. */
void watcher_rouse(void);
/* Whether its next look is to ask reclaimers whatever the usage; has it ask for so much, for a
 * call. */
bool watcher_is_asked(void);
void watcher_ask_for_call(uint64_t bytes);
/* A pass has freed so much: what was asked for on account of requests while it ran was asked for
 * before that had its effect. */
void watcher_gave(uint64_t bytes);
/* Has another thread stand by while a pass of reclaimers runs. */
void watcher_stand_by(void);

#endif
