/*
 * What is done inside jemalloc, beyond its public functions (je.h): by calls of its that the build
 * directs to us, and by its own data (src/jemalloc/). What the build on the shared libjemalloc
 * cannot do says so.
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
 * jemalloc's clock, as this thread sees it, runs ahead by this much: ageing free pages at will is
 * how some, the oldest, are purged and not all. false: this build cannot (shared libjemalloc).
 */
bool inside_clock_ahead(uint64_t ns);

/*
 * Free pages of the arena become one run with their neighbours as they are freed, or only as they
 * are purged, as jemalloc has it. No two threads at once, and with signals blocked. false: not just
 * now. true also where this build cannot.
 */
bool inside_coalesce(unsigned arena, bool at_once);

/*
 * Hands pages of slabs to the kernel on which no block is in use, until so many bytes have gone or
 * a millisecond has passed; each call goes on where the last one ended. Not safe from two
 * threads at once; with signals blocked, for a handler that forks would wait for itself.
 */
struct slabs_given {
    uint64_t bytes;
    uint64_t absent; /* of free pages that were not in memory */
    bool is_exact;   /* false: it cannot be told what is in memory; all is taken for it */
    bool all;        /* the last slab was reached: the next call begins anew */
    bool left_alone; /* nothing more can be done just now */
};
struct slabs_given slabs_drop(uint64_t bytes);
/* Slabs are left alone from when the first returns to the second, which the same thread calls. */
void slabs_leave_alone(void);
void slabs_go_on(void);
/* In a forked child: whoever was at it is not there. */
void slabs_fork_child(void);

/* In a forked child: no other thread is in the middle of a realloc. */
void moves_fork_child(void);

/* Around a fork: jemalloc's own purges end before it, for at most so long, and none begins until it
 * is done. With none of jemalloc's locks held. */
void purges_fork_prepare(uint64_t patience_ns);
void purges_fork_parent(void);
void purges_fork_child(void);

/* The statistics that malloc_stats_print() prints, straight to `write`: without the buffer that it
 * allocates, as far as this build can. */
void inside_stats_print(void (*write)(void *, const char *), void *arg, const char *opts);

/* Before jemalloc's first call: large blocks begin at page boundaries instead of a random cache
 * line of an extra page. Its setting for this is not to be had from outside in 5.3.0. */
void inside_no_cache_oblivious(void);

#endif
