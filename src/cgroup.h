/*
 * Which cgroups this process is in, and what they allow it.
 *
 * Raw reads into fixed buffers: runs inside the first malloc. Never uses stdio or the heap. Every
 * path is prefixed with `root` ("" for this machine), so that a captured tree can stand in for it.
 */
#ifndef PLIM_CGROUP_H
#define PLIM_CGROUP_H

#include "sys.h"

enum {
    CGROUP_PATH_MAX = 4096,
    CGROUP_LEVELS_MAX = 24, /* levels with a limit; any more are merged into the last */
};

enum cgroup_confidence {
    CGROUP_NONE,     /* nothing visible: no limit is known */
    CGROUP_FALLBACK, /* guessed: usual mount points, or the mount's root for a hidden cgroup */
    CGROUP_EXACT,
};

/* The cgroup in which this process is for one controller. */
struct cgroup_dir {
    int version; /* 1 or 2; 0: not known */
    enum cgroup_confidence confidence;
    size_t mount_len;           /* path[0..mount_len) is the mount point, where walks up end */
    char path[CGROUP_PATH_MAX]; /* without root; "" where there is none to read */
};

struct cgroup {
    struct cgroup_dir memory;
    struct cgroup_dir cpu;
};

/* One level, from the process's own cgroup up to the mount, that has a limit of its own. */
struct cgroup_level {
    uint64_t hard;   /* bytes: memory.max, memory.limit_in_bytes; UNLIMITED if none here */
    uint64_t high;   /* bytes: memory.high; UNLIMITED if none here, and on v1 */
    size_t path_len; /* memory.path[0..path_len) is its directory */
};

struct cgroup_memory {
    uint64_t hard; /* smallest over all levels */
    uint64_t high;
    uint64_t swap; /* swap alone, smallest over all levels; UNLIMITED if none or unknown */
    bool denied;   /* no right to read the process's own level */
    unsigned level_count;
    struct cgroup_level levels[CGROUP_LEVELS_MAX]; /* own cgroup first */
};

/*
 * Finds the cgroups of the process that reads `root`/proc/self. pid: the process's number in its
 * own pid namespace, for searching cgroup.procs where nothing else tells; 0: do not search. Always
 * fills *ret; returns 0, -ENOENT when neither controller could be found, or -EMFILE, -ENFILE,
 * -ENOMEM where something could not be read for want of those: *ret may then lack something. Works
 * in memory mapped for the call: may run on any thread, on a small stack, and several times at
 * once.
 */
int cgroup_resolve(const char *root, int pid, struct cgroup *ret);
/* The same for another process of this machine, by its number here. Its cgroups are shown in the
 * trees that the caller sees, so limits that it cannot see itself count too. */
int cgroup_resolve_process(int pid, struct cgroup *ret);

/*
 * Reads limits anew. A level that is missing or unreadable is skipped. On v1 a limit set above what
 * is visible counts at the topmost visible level. No path in dir: 0, and all is UNLIMITED. -ENODEV
 * or -ENOENT: the process's own cgroup directory is gone, resolve again. -EMFILE, -ENFILE, -ENOMEM:
 * a level could not be read for want of those. *ret is untouched then. Uses up to 6 KiB of stack,
 * as do the functions below: allocating threads may have only 16.
 */
int cgroup_read_memory(const char *root, const struct cgroup_dir *dir, struct cgroup_memory *ret);
/* CPU quota, the smallest over all levels, in thousandths of a CPU; UNLIMITED if none. Rounded to
 * nearest, but never down to a whole number of CPUs. Fails as above. */
int cgroup_read_cpu(const char *root, const struct cgroup_dir *dir, uint64_t *ret_millicpus);

/* The directory one level up, at the mount point at the latest; false: it was the last. */
bool cgroup_level_up(const struct cgroup_dir *dir, size_t *path_len);
/* Path of a file at the level, as "root + level + / + name". -ENAMETOOLONG. */
int cgroup_level_file(const char *root, const struct cgroup_dir *dir, size_t path_len,
                      const char *name, char *buf, size_t len);
/* Bytes charged to the level (memory.current, memory.usage_in_bytes), through a held file. */
int cgroup_read_usage(const char *root, const struct cgroup_dir *dir, size_t path_len,
                      struct sys_file *file, uint64_t *ret_bytes);
/* The level's own limit (memory.max, memory.limit_in_bytes), likewise. */
int cgroup_read_limit(const char *root, const struct cgroup_dir *dir, size_t path_len,
                      struct sys_file *file, uint64_t *ret_bytes);
/* Bytes of that charge which the kernel reclaims by itself before it kills: page cache that is not
 * shared memory, reclaimable slab. Costs microseconds, but far more where many cgroups lie below.
 */
int cgroup_read_reclaimable(const char *root, const struct cgroup_dir *dir, size_t path_len,
                            struct sys_file *file, uint64_t *ret_bytes);
/* Bytes that the process's own cgroup has in swap. -ENOENT, -ENODATA where the kernel does not
 * count them. */
int cgroup_read_swapped(const char *root, const struct cgroup_dir *dir, uint64_t *ret_bytes);
/* Bytes of the cgroup's usage that limits still let the kernel move to swap before it kills;
 * UNLIMITED: they set no bound. 0 where the cgroup's swappiness (on v2 the machine's) is 0 or
 * cannot be read. */
uint64_t cgroup_swap_room(const char *root, const struct cgroup_dir *dir);
/* Count of OOM kills at the level, where the kernel keeps one; else -ENOENT or -ENODATA. */
int cgroup_read_oom_kills(const char *root, const struct cgroup_dir *dir, size_t path_len,
                          uint64_t *ret);

/* RAM of the machine: sysinfo(2) for root "", else what root/proc/meminfo says; UNLIMITED if that
 * is not known. */
uint64_t cgroup_ram_bytes(const char *root);

/* Bytes at which the level kills or stalls. */
uint64_t cgroup_level_bytes(const struct cgroup_level *level);
/* Moves *at to the next level, itself or one above, whose limit is below the machine's memory;
 * false: there is none. */
bool cgroup_next_limit(const struct cgroup_memory *memory, uint64_t ram, unsigned *at);
/* The tightest of limit, high and RAM: what doctor reports as effective. */
uint64_t cgroup_effective_bytes(const struct cgroup_memory *memory, uint64_t ram);

/* CPUs that the process can use at once: min(affinity, quota rounded up), at least 1. */
unsigned cgroup_effective_cpus(unsigned affinity, uint64_t quota_millicpus);

#endif
