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
    /* No more than is in use, though they are asked for all there is. */
    uint64_t asked;
    uint64_t freed; /* as they say; of each no more than is in use */
};
/* Calls those registered from p->level down, in the order of their slots, until p->target is freed,
 * as they say; again, for some milliseconds, as long as any of them gives; none while a call of
 * another thread's runs. go_on: what they said to have freed the
 * last time was not so, and it begins behind the one that was called last then. A callback may end
 * the thread: *ret counts its call by then. */
void reclaimers_run(struct plim_pressure *p, bool go_on, struct reclaimers_result *ret);
struct reclaimer_info {
    char name[RECLAIMER_NAME_MAX];
    uint64_t calls, asked, freed; /* since it was added; bytes, freed as it says */
};
/* The one in a slot below RECLAIMERS_MAX; false: none. */
bool reclaimers_info(unsigned slot, struct reclaimer_info *ret);
/* Does a call run, on whatever thread, and whose? */
bool reclaimers_running(char ret_name[RECLAIMER_NAME_MAX]);
/* Is the calling thread inside a callback? */
bool reclaimers_inside(void);
/* No call begins any more; waits for a running one, 1 s at most. */
void reclaimers_stop(void);

/* Around fork: nobody is at the table meanwhile. true: call reclaimers_fork_parent(). */
bool reclaimers_fork_prepare(uint64_t within_ns);
void reclaimers_fork_parent(void);
void reclaimers_fork_child(void);

#endif
