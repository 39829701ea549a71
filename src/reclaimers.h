/*
 * The program's own reclamation callbacks: a fixed table, run one at a time by one thread.
 */
#ifndef PLIM_RECLAIMERS_H
#define PLIM_RECLAIMERS_H

#include "base.h"

#include <plimsoll.h>

enum { RECLAIMERS_MAX = 64, RECLAIMER_NAME_MAX = 32 };

int reclaimers_add(const char *name, plim_reclaim_fn *fn, void *arg, enum plim_level from);
int reclaimers_remove(int id);
/* How many would be called at the level. */
unsigned reclaimers_count(enum plim_level level);

struct reclaimers_result {
    unsigned calls;
    /* Bytes; no more than are in use, even where reclaimers are asked for all there is. */
    uint64_t asked;
    uint64_t freed; /* as they say; of each call no more than is in use */
};
/* Calls those that are due at p->level, in the order of their slots, until by their own account
 * p->target is freed; over again, for some milliseconds, as long as any of them gives, but only for
 * what is missing by thread_freed() as well: bytes that the calling thread has ever freed. Calls
 * none while another thread's call runs. go_on: last time they freed less than they said, so this
 * pass begins behind the one called last then. A callback may end the thread: *ret counts its call
 * by then. */
void reclaimers_run(struct plim_pressure *p, bool go_on, uint64_t (*thread_freed)(void),
                    struct reclaimers_result *ret);
struct reclaimer_info {
    char name[RECLAIMER_NAME_MAX];
    uint64_t calls, asked, freed; /* since it was added; in bytes, freed as it says */
};
/* Tells of the reclaimer in a slot below RECLAIMERS_MAX; false: none is there. */
bool reclaimers_info(unsigned slot, struct reclaimer_info *ret);
/* Does a call run, on whatever thread, and whose? */
bool reclaimers_running(char ret_name[RECLAIMER_NAME_MAX]);
/* Is the calling thread inside a callback? */
bool reclaimers_inside(void);
/* No call begins any more; waits for a running one, 1 s at most. */
void reclaimers_stop(void);

/* Around fork: no thread uses the table meanwhile. true: call reclaimers_fork_parent(). */
bool reclaimers_fork_prepare(uint64_t within_ns);
void reclaimers_fork_parent(void);
void reclaimers_fork_child(void);

#endif
