/*
 * From the hard limit that was found to the thresholds. Pure: no clock, no file, no state.
 */
#ifndef PLIM_LIMITS_H
#define PLIM_LIMITS_H

#include "options.h"

/* The soft limit is at most this share of the hard one. */
enum { LIMITS_SOFT_MOST_PERCENT = 98 };

/* Whose limit it is, and so how usage is measured. */
enum limits_source {
    LIMITS_NONE,    /* nothing limits us: nothing to watch */
    LIMITS_CGROUP,  /* a cgroup level; usage is its charge */
    LIMITS_MACHINE, /* RAM, where no cgroup is tighter; usage is what is not available */
    LIMITS_PROCESS, /* bytes set by the user without a cgroup limit; usage is our resident memory */
};

/* The thresholds for one limit, in bytes: low <= soft <= critical <= hard. */
struct limits {
    enum limits_source source;
    uint64_t hard; /* where the kernel kills, or stalls us to death (memory.high) */
    uint64_t soft; /* where callbacks start */
    uint64_t low;  /* where purging starts */
    uint64_t critical;
};

extern const struct limits limits_none; /* LIMITS_NONE, all UNLIMITED */

/* Thresholds under `hard` bytes. hard UNLIMITED or the option off: limits_none. */
struct limits limits_from_hard(enum limits_source source, uint64_t hard,
                               const struct limit_wish *wish);
/* The thresholds of a cgroup level. `nearest`: no level with a limit is nearer to the process. Only
 * there a soft limit in bytes counts: further up siblings are charged as well. */
struct limits limits_of_level(bool nearest, uint64_t hard, const struct limit_wish *wish);
/* Without a cgroup limit: the machine's memory, or bytes that the user set for this process. */
struct limits limits_alone(uint64_t ram, const struct limit_wish *wish);

/* Memory as sysinfo(2) counts it, in bytes; UNLIMITED where something sets no bound. */
struct memory_size {
    uint64_t ram, free, swap, swap_free;
};

/* Of each number the smaller of the host's and the group's, and never more free than there is in
 * all. */
struct memory_size limits_memory(const struct memory_size *host, const struct memory_size *group);

#endif
