/*
 * The watcher thread: looks when nobody allocates, lets free pages of an idle program age, and runs
 * reclaimers.
 *
 *   watcher.c         its life: started once the heap matters, sleeps while there is nothing to do
 *   watcher_thread.c  how its threads are made
 *   watcher_turn.c    one look by it, and the reclaimers that it runs
 *   watcher_ask.c     what other threads want of it
 *   watcher_relief.c  the thread that stands by while reclaimers run
 *   watcher_pause.c   out of the way of a call, and after fork
 */
#ifndef PLIM_WATCHER_H
#define PLIM_WATCHER_H

#include "events.h"
#include "stats_page.h"

#include <plimsoll.h>

/*
 * Sequentially consistent but for what is said to be relaxed: a thread that goes to sleep here
 * first says what it sleeps on, then reads whether there is something to do; a thread that has
 * something for it does both the other way round.
 */
struct watcher {
    _Atomic uint32_t state; /* enum watcher_state; by compare-and-swap */
    /* Raised when another thread is to watch: one that was started in an earlier turn ends. */
    _Atomic uint32_t turn;
    _Atomic uint32_t tid;      /* of the thread that watches */
    _Atomic uint32_t relief;   /* of the one that stands by to take over; 0: none */
    _Atomic uint32_t passes;   /* of reclaimers, counted as they begin; the relief sleeps on it */
    _Atomic uint64_t pass_ns;  /* when the pass that runs began; 0: none runs */
    _Atomic uint32_t pass_tid; /* of the thread that runs it */
    /* Written by whoever starts the watcher. Relaxed: nothing else hangs on them. */
    _Atomic uint64_t start_ns; /* after a start that failed: not tried again before */
    _Atomic bool failed;       /* the last start failed */
    _Atomic bool complained;   /* about that, once */
    uint64_t long_pass_ns;     /* pass_ns of the pass last reported as long; by the watcher only */
    /* The stats page's mailbox once there is a page, before that `own`. Its word counts requests to
     * look, and the watcher sleeps on it; other processes can raise the page's. Never NULL; set
     * under the look lock by watcher_use(). */
    _Atomic(struct page_mailbox *) mailbox;
    struct page_mailbox own;
    _Atomic uint64_t next_ns; /* when it looks next; UINT64_MAX: when woken */
    /* Bytes to ask of reclaimers whatever the usage: `wanted` for large requests, `asked` by calls
     * (plim_reclaim). Below, how many such calls there were, and how many have been served. */
    _Atomic uint64_t wanted;
    _Atomic uint64_t asked;
    _Atomic uint32_t requests, served;
    _Atomic uint64_t given; /* bytes that passes gave back to the kernel; raised before `served` */
    struct events events;   /* what else may wake it early */
};

extern struct watcher watcher PLIM_HIDDEN;

/* When a pass of reclaimers takes longer, another thread watches. */
static const uint64_t pass_patience_ns = NS_PER_S;

/* Starts it unless it runs or must not. */
void watcher_start(void);
bool watcher_runs(void);
/* Whether there is a watcher, or will be once it has something to do. */
bool watcher_is_expected(void);
/* Notes what is needed to make its threads. At the program's start, before there are other threads.
 */
void watcher_measure(void);

/* Has it sleep on the word of the page's mailbox from now on. */
void watcher_use(struct page_mailbox *mailbox);
/* Has it look at once. */
void watcher_wake(void);
/* Has it look at time `ns` at the latest. */
void watcher_wake_by(uint64_t ns);
/* Has its next look ask reclaimers for at least so much, on account of a request. */
void watcher_ask(uint64_t bytes);
/* Has it run reclaimers for `bytes` more, whatever the usage; false: not done within the time. */
bool watcher_pass(uint64_t bytes, uint64_t within_ns);
/* How long the pass of reclaimers that runs has been running; 0: none runs. */
uint64_t watcher_pass_for(void);
/* The thread that runs the pass waits for something right now. */
bool watcher_pass_sleeps(void);
/* How many reclaimers would be called at that level: none without it, or while one hangs. */
unsigned watcher_reclaimers(enum plim_level level);

/* Ends the thread and waits until the kernel has forgotten it; false: none ran, or it is busy. */
bool watcher_pause(void);
void watcher_resume(void);
/* In a forked child; whether the parent had one. */
bool watcher_fork_child(void);

#endif
