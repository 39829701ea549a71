/*
 * How much is used, of which limit: acquires what the governor decides on.
 *
 * Levels here are those of the cgroup tree, from the process's cgroup up. Of all that carry a
 * limit, the one whose usage is farthest past its soft limit, as a share of its limit, binds. Usage
 * is the kernel's charge there, less what the kernel would drop by itself; an estimate where the
 * charge cannot be read. One caller at a time.
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
    uint64_t hard; /* bytes; the kernel's limit, whatever the options say */
    struct sys_file charge_file, stat_file, limit_file;
    uint64_t charge, charge_committed;  /* as last read, and our committed bytes then */
    uint64_t reclaimable;               /* as last read */
    uint64_t on_the_way, on_the_way_ns; /* see usage_sample: the most of it lately, and when */
    uint64_t stat_cost_ns;              /* of reading memory.stat: the slowest lately */
    uint64_t limit_seen; /* what limit_file said last; another value: the limit has changed */
    /* The anchor of estimates: usage and committed bytes when a look read memory.stat last. */
    uint64_t anchor_usage, anchor_committed, anchor_ns;
};

struct usage {
    struct limit_wish wish; /* of the user; changed by plim_set_limit() */
    struct cgroup cgroup;
    struct cgroup_memory memory;
    struct cgroup next_cgroup; /* while resolving anew: `cgroup` stays until that has worked */
    struct cgroup_memory next_memory; /* while limits are read anew: too large for small stacks */
    uint64_t ram;                     /* bytes, of the machine */
    uint64_t membership; /* digest of /proc/self/cgroup and of its namespace when resolved */
    uint64_t resolved;   /* how often `cgroup` has been resolved */
    unsigned level_count;
    struct usage_level levels[USAGE_LEVELS];
    struct limits alone; /* machine or process, where no cgroup level limits */
    struct sys_file machine_file, process_file;
    uint32_t process_pid; /* the process that process_file tells of */
    uint64_t refresh_cost_ns;
    uint64_t read_ahead;   /* bytes of page cache that the kernel may not be able to drop */
    bool read_ahead_known; /* read from the machine; false: the default stands in */
    unsigned binding;
};

struct usage_sample {
    struct limits limits; /* of what binds; source LIMITS_NONE: nothing does */
    uint64_t usage;       /* UNLIMITED where nothing binds */
    uint64_t on_the_way;  /* page cache not in usage that the kernel may not be able to drop now */
    uint64_t swap_room;   /* of usage, what can still go to swap; 0 below critical */
    uint64_t nearer;      /* by how many bytes less is left at another level; 0: at none */
};

/* Resolves and reads limits. */
void usage_init(struct usage *u, const struct limit_wish *wish);
/* Reads limits and RAM anew; resolves anew if the process was moved or its cgroup is gone. */
void usage_refresh(struct usage *u);
/* How long after a reading that took cost_ns the next is due: readings may take a 256th of the
 * time; 20 ms at least, 1 s at most. */
uint64_t usage_pause_ns(uint64_t cost_ns);
void usage_set_wish(struct usage *u, const struct limit_wish *wish);
/* The soft limit at the nearest level, where one given in bytes counts. */
uint64_t usage_soft(const struct usage *u);
/* The present usage, before a request of that size. A known limit that was changed is seen at once.
 * may_block: memory.stat may be read even where that is slow; else this is done when it is due, and
 * in between an estimate from `committed` stands in. */
void usage_read(struct usage *u, uint64_t committed, uint64_t request, bool may_block,
                struct usage_sample *ret);
/* The process's own memory that is not of files, in bytes; UNLIMITED: it cannot be read. */
uint64_t usage_resident(struct usage *u);
/* Makes that cheaper. Not for a child of vfork: the descriptor would be noted for its parent. */
void usage_open_process(struct usage *u);
/* What the levels together allow, and what is left: the smallest of limit less usage. Reads each
 * level's memory.stat, so it must not be called often. */
void usage_memory(struct usage *u, struct memory_size *ret);
/* Opens the file that tells the process's own usage, if that is what counts; a forked child opens
 * its own. */
void usage_open_alone(struct usage *u);
/* Closes the held files, which are read even where their paths no longer lead anywhere (chroot). */
void usage_close_files(struct usage *u);

#endif
