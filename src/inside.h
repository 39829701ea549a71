/*
 * What is done inside jemalloc, beyond its public functions (je.h): by calls that the build directs
 * to us, and through its own data (src/jemalloc/). Each function says where the build on the shared
 * libjemalloc cannot do it.
 */
#ifndef PLIM_INSIDE_H
#define PLIM_INSIDE_H

#include "base.h"

/* jemalloc is in the middle of its own start: nothing may be asked of it yet. */
bool inside_is_starting(void);
/* Before jemalloc's first call: its pages are counted from the first one on. */
void inside_count_pages(void);

/* Where jemalloc keeps what it knows of the arena. NULL: there is none, or this build cannot tell.
 */
char *inside_arena(unsigned index);

/*
 * Runs jemalloc's clock, as this thread sees it, ahead by this much: free pages are aged at will so
 * that only the oldest are purged. false: this build cannot (shared libjemalloc).
 */
bool inside_clock_ahead(uint64_t ns);

/*
 * Has the arena's free pages joined with their neighbours as they are freed, or, as jemalloc does
 * by default, only as they are purged. One thread at a time, with signals blocked. false: not
 * possible just now. true also where this build cannot.
 */
bool inside_coalesce(unsigned arena, bool at_once);

/*
 * Hands pages of slabs on which no block is in use to the kernel, until so many bytes have gone or
 * a millisecond has passed; each call goes on where the last one ended. One thread at a time, with
 * signals blocked: a handler that forks would wait for itself.
 */
struct slabs_given {
    uint64_t bytes;
    uint64_t absent; /* bytes of free pages that were not in memory */
    bool is_exact;   /* false: what is in memory cannot be told; all counts as being there */
    bool all;        /* the last slab was reached: the next call begins anew */
    bool left_alone; /* nothing more can be done just now */
};
struct slabs_given slabs_drop(uint64_t bytes);
/* slabs_drop() touches no slab from when the first returns until the same thread calls the
 * second. */
void slabs_leave_alone(void);
void slabs_go_on(void);
/* In a forked child: threads that were between the two, or in slabs_drop(), are not there. */
void slabs_fork_child(void);

/* In a forked child: no other thread is in the middle of a realloc. */
void moves_fork_child(void);

/* Around a fork: waits for jemalloc's own purges to end, at most for so long; none begins until the
 * fork is done. Call with none of jemalloc's locks held. */
void purges_fork_prepare(uint64_t patience_ns);
void purges_fork_parent(void);
void purges_fork_child(void);

/* The statistics that malloc_stats_print() prints, straight to `write`: without the buffer that it
 * allocates, as far as this build can. */
void inside_stats_print(void (*write)(void *, const char *), void *arg, const char *opts);

/* Before jemalloc's first call: large blocks begin at page boundaries instead of a random cache
 * line of an extra page. In 5.3.0 its setting for this cannot be reached from outside. */
void inside_no_cache_oblivious(void);

#endif
