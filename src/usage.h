/*
 * How much is used, of which limit: acquires what the governor decides on.
 *
 * Of all cgroup levels that carry a limit, the one whose usage is farthest past its soft limit,
 * as a share of its limit, binds. Usage is the kernel's charge there, less what the kernel would
 * drop by itself; an estimate where the charge cannot be read. One caller at a time.
 */
#ifndef PLIM_USAGE_H
#define PLIM_USAGE_H

#include "cgroup.h"
#include "limits.h"

/* Limited levels followed: all that are known. Which one binds is for the usage to say,
 * not for the limit, and that changes from look to look: none can be left out beforehand. */
enum { USAGE_LEVELS = CGROUP_LEVELS_MAX };

struct usage_level {
    size_t path_len;
    struct limits limits;
    uint64_t hard; /* the same whatever the options say */
    struct sys_file charge_file, stat_file, limit_file;
    uint64_t charge, charge_committed;  /* as last read, and our committed bytes then */
    uint64_t reclaimable;               /* as last read */
    uint64_t on_the_way, on_the_way_ns; /* of that, see usage_sample: the most lately, and when */
    uint64_t stat_cost_ns;              /* of reading memory.stat: the dearest lately */
    uint64_t limit_seen; /* what limit_file said last: another value means another limit */
    /* The anchor of estimates: usage and committed bytes when a look read memory.stat last. */
    uint64_t anchor_usage, anchor_committed, anchor_ns;
};

struct usage {
    struct limit_wish wish; /* what plim_set_limit() changes */
    struct cgroup cgroup;
    struct cgroup_memory memory;
    struct cgroup next_cgroup; /* while resolving anew: what is known stays until that worked */
    struct cgroup_memory next_memory; /* while limits are read anew: too large for small stacks */
    uint64_t ram;                     /* of the machine */
    uint64_t membership; /* digest of /proc/self/cgroup and of its namespace when resolved */
    uint64_t resolved;   /* how often `cgroup` has been resolved */
    unsigned level_count;
    struct usage_level levels[USAGE_LEVELS];
    struct limits alone; /* machine or process, where no cgroup level limits */
    struct sys_file alone_file;
    uint32_t alone_pid; /* whose it is */
    uint64_t refresh_cost_ns;
    uint64_t read_ahead;   /* bytes of page cache that the kernel may not be able to drop */
    bool read_ahead_known; /* as the machine has it, not just as usual */
    unsigned binding;
};

struct usage_sample {
    struct limits limits; /* of what binds; source LIMITS_NONE: nothing does */
    uint64_t usage;       /* UNLIMITED where nothing binds */
    uint64_t on_the_way;  /* of what it leaves out, what the kernel may not be able to drop now */
    uint64_t swap_room;   /* can still go to swap; 0 where the level is not critical */
    uint64_t nearer;      /* so much less is left at another level, in bytes; 0: at none */
};

/* Resolves and reads limits. */
void usage_init(struct usage *u, const struct limit_wish *wish);
/* Reads limits and RAM anew; resolves anew if the process was moved or its cgroup is gone. */
void usage_refresh(struct usage *u);
/* How long after a reading that cost so much the next is due: it may take a 256th of the time; 20
 * ms at least, 1 s at most. */
uint64_t usage_pause_ns(uint64_t cost_ns);
void usage_set_wish(struct usage *u, const struct limit_wish *wish);
/* The soft limit in force where bytes count: at the nearest level. */
uint64_t usage_soft(const struct usage *u);
/* The present usage, before a request of that size. A known limit that was changed is seen at once.
 * may_block: memory.stat may be read even where that is slow; else this is done when it is due, and
 * in between an estimate from `committed` stands in. */
void usage_read(struct usage *u, uint64_t committed, uint64_t request, bool may_block,
                struct usage_sample *ret);
/* What the levels allow together, and what is left of it: of each its limit less its usage, the
 * smallest counts. Reads each one's memory.stat: not to be called at every turn. */
void usage_memory(struct usage *u, struct memory_size *ret);
/* Opens what tells of the process alone, if that is what counts; in a forked child its own. */
void usage_open_alone(struct usage *u);
/* What is held open, which is read where its path leads nowhere any more (chroot). */
void usage_close_files(struct usage *u);

#endif
