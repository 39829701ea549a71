/*
 * plimsoll.h - talk to the allocator that knows the memory limit.
 *
 * Works with the library linked or preloaded or, if PLIM_OPTIONAL is defined before the include,
 * absent: then test plim_present() first; without the library no other function may be called.
 *
 * Every size is in bytes. UINT64_MAX stands for "no limit". Unless said otherwise, a function
 * returns 0 or a negative errno value, may be called from any thread, and must not be called from a
 * signal handler. All functions that can fail, except plim_heap_profile(), return -ENOSYS where the
 * library is there but off (PLIMSOLL=off, or it could not start).
 *
 * PLIM_OPTIONAL needs position-independent code (-fPIE or -fPIC, the default nearly everywhere):
 * otherwise the linker decides that the library is absent.
 */
#ifndef PLIMSOLL_H
#define PLIMSOLL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLIM_VERSION_MAJOR 0
#define PLIM_VERSION_MINOR 1
#define PLIM_VERSION_PATCH 0

#if defined(PLIM_OPTIONAL)
#define PLIM_API __attribute__((weak))
#else
#define PLIM_API
#endif

/* How near the limit is, in the words of the kernel's vmpressure. What happens at a level happens
 * at those above it as well. LOW: free pages are given back. MEDIUM, from the soft limit on:
 * reclaimers are called (where files are being read, a read-ahead window earlier: usage may then be
 * below the soft limit). CRITICAL, from half-way between the soft and the hard limit on: see
 * PLIMSOLL_ON_LIMIT in plimsoll(7). */
enum plim_level { PLIM_NORMAL = 0, PLIM_LOW = 1, PLIM_MEDIUM = 2, PLIM_CRITICAL = 3 };

/* The present level. One relaxed load: safe in signal handlers, cheap enough for readiness probes.
 * The library renews it once a second at least in a program that has a reclaimer or the pressure
 * fd; otherwise as the heap grows, so that an idle program may show an old level. */
PLIM_API enum plim_level plim_level(void);

struct plim_pressure {
    size_t size; /* of this struct, as the library knows it: fields may be added at its end */
    enum plim_level level;
    uint64_t
        usage; /* what the kernel counts against the limit; from LOW on less what it drops itself */
    uint64_t soft_limit;
    uint64_t hard_limit;
    uint64_t target; /* bytes asked of this call; UINT64_MAX, from plim_reclaim(), asks for all */
};

/* A reclaimer: lets go of about p->target bytes and returns how many bytes it let go. Runs on the
 * library's watcher thread, one call at a time, with about 1 MiB of stack and all signals blocked
 * except those of faults. May allocate, free, block, and add or remove reclaimers. Must not throw
 * or longjmp out. */
typedef size_t plim_reclaim_fn(const struct plim_pressure *p, void *arg);

/* Has fn(p, arg) called whenever memory is short at level `from` or above. A `from` below
 * PLIM_MEDIUM is the same as PLIM_MEDIUM: what purging can give is not asked of programs. name (at
 * most 31 bytes are kept) is for people. arg is the caller's and must live until remove returns.
 * Returns an id >= 0; -EINVAL (fn NULL, bad level), -ENOSPC (64 are in use), -ENOTSUP
 * (PLIMSOLL_THREAD=off). */
PLIM_API int plim_reclaimer_add(const char *name, plim_reclaim_fn *fn, void *arg,
                                enum plim_level from);

/* After this returns, no call of the reclaimer begins. Waits for one that runs, except when called
 * from inside it. -ENOENT: no such id. */
PLIM_API int plim_reclaimer_remove(int id);

/* Returns an eventfd that turns readable when the level changes (read 8 bytes, then call
 * plim_level()), or -EMFILE. The first call makes it, later ones return the same. It is the
 * library's own: do not close it. It is closed on exec; a forked child asks for its own. */
PLIM_API int plim_pressure_fd(void);

struct plim_stats {
    size_t size; /* set by the caller to sizeof(struct plim_stats) */
    enum plim_level level;
    uint32_t cannot_meet_limit; /* 1: reclaiming gave too little for 10 s */
    uint64_t usage;     /* as in plim_pressure; UINT64_MAX: no limit; 0 before the first look */
    uint64_t committed; /* pages the heap holds, used or not */
    uint64_t active;    /* of those, in use */
    uint64_t looks;     /* times the usage was read */
    uint64_t purges;    /* times free pages were given back before their age */
    uint64_t purged_bytes;
    uint64_t reclaimer_calls;
    uint64_t reclaimer_asked_bytes;
    uint64_t reclaimer_freed_bytes; /* as they say */
    uint64_t reclaim_cpu_ns;        /* CPU time spent purging and in reclaimers */
    uint64_t throttle_ns;           /* time that allocating threads were made to wait */
    uint64_t failed_requests;       /* requests refused by PLIMSOLL_ON_LIMIT=fail */
    uint64_t watcher_wakeups;
};

/* Fills at most s->size bytes and sets s->size to what it filled. -EINVAL: size under 8. In a
 * forked child the counters begin at 0. */
PLIM_API int plim_stats(struct plim_stats *s);

struct plim_limits {
    size_t size;             /* set by the caller */
    uint32_t cgroup_version; /* of the memory controller: 1, 2, or 0 */
    uint32_t cpus;           /* as plim_cpus() */
    uint64_t hard;           /* memory.max or its like, the smallest from the own cgroup up */
    uint64_t high;           /* memory.high, likewise */
    uint64_t soft;           /* the soft limit of what binds: a cgroup, the machine, the process */
    char path[256];          /* own memory cgroup as a directory, cut if longer; "" if none */
};
PLIM_API int plim_limits(struct plim_limits *l);

/* Sets the soft limit; 0 goes back to what PLIMSOLL_LIMIT says. The soft limit stays below the hard
 * one. Unlike with PLIMSOLL_LIMIT and plimsoll ctl there is no least value: 1 is one byte. */
PLIM_API int plim_set_limit(uint64_t bytes);

/* Purges free pages, then those in the middle of slabs. If that is not enough it has reclaimers
 * called (those from PLIM_CRITICAL only at that level) and waits for them at most 1 s. From inside
 * a reclaimer it only purges. Returns the bytes given back to the kernel, including those on
 * account of others who call it at the same time. */
PLIM_API uint64_t plim_reclaim(uint64_t bytes);

/* CPUs that can be used at once: min(affinity, cgroup quota rounded up), or PLIMSOLL_CPUS. At
 * least 1. For sizing pools of threads. The quota is followed while the program runs, the affinity
 * is as found at start. With PLIMSOLL=off the affinity alone counts. */
PLIM_API unsigned plim_cpus(void);

/* Writes a heap profile that jeprof reads, see plimsoll(7). Needs PLIMSOLL_HEAP_PROFILE, or
 * profiling in MALLOC_CONF. -ENOTSUP: neither is on; -EIO: the file could not be written; -EINVAL:
 * path is NULL. */
PLIM_API int plim_heap_profile(const char *path);

#if defined(PLIM_OPTIONAL)
static __inline__ int plim_present(void)
{
    return &plim_level != 0;
}
#else
static __inline__ int plim_present(void)
{
    return 1;
}
#endif

#ifdef __cplusplus
}
#endif

#endif
