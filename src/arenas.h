/*
 * jemalloc's arenas: reading their page counts, giving pages back.
 *
 * The one place that turns a wish ("50 MiB, the oldest first") into jemalloc's controls. Unless
 * said otherwise not safe from two threads at once: the look lock sees to that. Never call with a
 * jemalloc lock held, that is, from where pages are taken or given back.
 */
#ifndef PLIM_ARENAS_H
#define PLIM_ARENAS_H

#include "inside.h"

/* Boots jemalloc if needed and finds its controls. 0 or -errno. */
int arenas_init(void);
struct arenas_pages {
    uint64_t committed; /* bytes held by extents, in use or free */
    uint64_t active;    /* in use */
    uint64_t dirty;     /* free, not given back yet */
};
/* Finds the page counts of arenas made since the last call, and gives these arenas our settings. */
void arenas_find_new(void);
/* A load per arena; for an arena not found yet jemalloc is asked, which takes its lock. Any
 * thread. */
void arenas_read(struct arenas_pages *ret);
/* Bytes of free pages; arenas that no look has found yet count as all free. No lock. */
uint64_t arenas_free(void);
/* Bytes in live allocations, by jemalloc's statistics; refreshes them (microseconds an arena). */
uint64_t arenas_allocated(void);

/* The program has set the arena's extent hooks: from now on its pages are counted, or no longer.
 * What other threads do in it meanwhile may be counted wrong. */
void arenas_hooks_set(unsigned arena);

/* Bytes of free blocks in slabs, that is, pages in use less live allocations; refreshes the
 * statistics as well. */
uint64_t arenas_slabs_free(void);
/* Gives back pages of slabs on which no block is in use, see slabs_drop(). The pages stay in use
 * and come back as they are touched, which shows in no count. */
struct slabs_given arenas_drop_slabs(uint64_t bytes);

/* Bytes that the calling thread has freed since it began. */
uint64_t arenas_thread_freed(void);

/* Gives back at least `bytes` of free pages, as far as there are, the oldest of an arena first;
 * UINT64_MAX: all. Ignores decay times. Returns the bytes given back. */
uint64_t arenas_purge(uint64_t bytes);
/* How long free pages live before jemalloc gives them back by itself; -1: as configured. Leaves
 * arenas alone for which the program has set another time. Cheap when unchanged. */
void arenas_set_decay(int64_t ms);
/* at_once: free pages side by side become one run as they are freed, and so serve larger requests
 * too; otherwise jemalloc joins those of slabs only as it purges them. Costs each slab that ends or
 * begins a fraction of a microsecond, and runs of 32 MiB then wait for a purge as others do.
 * Returns the former setting. Cheap when unchanged. */
bool arenas_coalesce(bool at_once);
/* Has jemalloc give back the free pages that are old enough, for a program that makes no calls. */
void arenas_age(void);
/* In a forked child: a purge may have been under way in a thread that is not there. Calls no
 * jemalloc. */
void arenas_fork_child(void);
/* Gives the calling thread a jemalloc cache, unless jemalloc was configured without or has no room.
 * Threads of the library begin without one where jemalloc is inside it. */
void arenas_have_thread_cache(void);
/* Empties the calling thread's cache into the arenas. */
void arenas_flush_thread_cache(void);

#endif
