/* plimsoll doctor: what looks wrong. */
#include "doctor.h"
#include "words.h"

#include <string.h>

/* Below this, program text, stacks and the allocator's own data take much of the limit. */
#define THIN_HEADROOM (64 * MiB)
/* Where a quota below one CPU means that bursts on many CPUs use it up at once. */
enum { MANY_CPUS = 4, ONE_CPU = 1000 };
/* Memory that is no heap is mentioned from one tenth of the limit on. */
enum { TMPFS_SHARE = 10 };

/* The level whose limit binds; NULL: none. */
static const struct doctor_level *binding_level(const struct diagnosis *d)
{
    for (unsigned i = 0; i < d->level_count; i++)
        if (doctor_level_binds(d, &d->levels[i]))
            return &d->levels[i];
    return NULL;
}

static void judge_view(struct diagnosis *d)
{
    const struct cgroup_dir *dir = &d->cgroup.memory;
    if (dir->confidence == CGROUP_NONE)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_LIMIT,
                   "no memory cgroup is visible: a limit set from outside cannot be seen; mount "
                   "/sys/fs/cgroup and /proc, or set PLIMSOLL_LIMIT in bytes");
    else if (dir->confidence == CGROUP_FALLBACK)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_LIMIT,
                   "the process's own cgroup is not visible here; %s is a guess, and a limit "
                   "below or beside it cannot be seen",
                   dir->path);
}

/* Only a note where PLIMSOLL_LIMIT is set in bytes: more cannot be done. */
static void judge_hidden(struct diagnosis *d)
{
    bool told = d->options.wish.kind == LIMIT_BYTES;
    doctor_add(d, told ? DOCTOR_NOTE : DOCTOR_WARNING, DOCTOR_LIMIT,
               "no visible cgroup sets a limit, and the levels above %.*s are hidden, as in a "
               "cgroup namespace: a limit of the pod or slice cannot be seen; set one on the "
               "container itself, or PLIMSOLL_LIMIT in bytes",
               (int)d->cgroup.memory.mount_len, d->cgroup.memory.path);
}

static void judge_no_limit(struct diagnosis *d)
{
    if (d->effective_bytes == UNLIMITED)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_LIMIT,
                   "no limit and no RAM size is known: nothing to keep under");
    if (d->above_hidden)
        judge_hidden(d);
    else if (d->effective_bytes != UNLIMITED)
        doctor_add(
            d, DOCTOR_NOTE, DOCTOR_LIMIT,
            "no cgroup sets a limit: the machine's RAM of %s is taken, which all its programs "
            "share",
            words_bytes(d->ram));
}

static void judge_memory(struct diagnosis *d)
{
    const struct cgroup_memory *memory = &d->memory;
    if (cgroup_effective_bytes(memory, UNLIMITED) == UNLIMITED)
        judge_no_limit(d);
    if (d->effective_bytes < THIN_HEADROOM)
        doctor_add(
            d, DOCTOR_WARNING, DOCTOR_HEADROOM,
            "a limit of %s leaves thin headroom: under %s, program text, stacks and tables take "
            "a large part of it",
            words_bytes(d->effective_bytes), words_bytes(THIN_HEADROOM));
    if (memory->hard != UNLIMITED && d->ram != UNLIMITED && memory->hard > d->ram)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_LIMIT,
                   "the limit of %s is larger than the machine's RAM of %s, which is taken instead",
                   words_bytes(memory->hard), words_bytes(d->ram));
    if (memory->high == 0)
        doctor_add(d, DOCTOR_NOTE, DOCTOR_HIGH,
                   "memory.high is 0: the kernel takes back what it can; that is not taken as a "
                   "limit");
    else if (memory->high < memory->hard && memory->high != UNLIMITED)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_HIGH,
                   "memory.high of %s is below the hard limit of %s: the kernel throttles the "
                   "program from there on, so that is taken as its limit",
                   words_bytes(memory->high), words_bytes(memory->hard));
    if (memory->hard == 0)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_LIMIT,
                   "the memory limit is 0: nothing can run under it");
    if (memory->hard != UNLIMITED && d->swap != 0 && d->swap != UNLIMITED && memory->swap > 0)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_SWAP,
                   "swap is on (%s) and the cgroup lets the program into it at its limit: it slows "
                   "down instead of being killed",
                   words_bytes(d->swap));
}

static void judge_soft_limit(struct diagnosis *d)
{
    const struct options *options = &d->options;
    if (!options->enabled)
        doctor_add(d, DOCTOR_PROBLEM, DOCTOR_SOFT_LIMIT, "PLIMSOLL is off: nothing is watched");
    else if (d->process.limit_set)
        doctor_add(d, DOCTOR_NOTE, DOCTOR_SOFT_LIMIT,
                   "the soft limit of %s was set while process %d ran, by plimsoll ctl or by "
                   "itself: its variables say otherwise",
                   words_bytes(d->limits.soft), d->request.pid);
    else if (options->wish.kind == LIMIT_OFF)
        doctor_add(d, DOCTOR_PROBLEM, DOCTOR_SOFT_LIMIT,
                   "PLIMSOLL_LIMIT is off: nothing is reclaimed");
    else if (options->wish.kind == LIMIT_BYTES && options->wish.value >= d->nearest_bytes)
        doctor_add(d, DOCTOR_PROBLEM, DOCTOR_SOFT_LIMIT,
                   "PLIMSOLL_LIMIT of %s is not below the limit of %s",
                   words_bytes(options->wish.value), words_bytes(d->nearest_bytes));
}

static void judge_usage(struct diagnosis *d, const struct doctor_level *level)
{
    if (level->usage == UNLIMITED || d->limits.source == LIMITS_NONE)
        return;
    uint64_t cache = level->reclaimable == UNLIMITED ? 0 : level->reclaimable;
    uint64_t used = u64_less(level->usage, cache);
    int len = (int)level->limit.path_len;
    const char *path = d->cgroup.memory.path;
    if (used >= d->limits.soft)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_HEADROOM,
                   "usage of %s is over the soft limit of %s in %.*s", words_bytes(used),
                   words_bytes(d->limits.soft), len, path);
    if (cache >= d->effective_bytes / 2)
        doctor_add(
            d, DOCTOR_NOTE, DOCTOR_CACHE,
            "%s of the %s charged to %.*s are page cache and the like: the kernel lets go of "
            "it by itself, and it is not counted here",
            words_bytes(cache), words_bytes(level->usage), len, path);
    if (level->shmem != UNLIMITED && level->shmem >= d->effective_bytes / TMPFS_SHARE)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_TMPFS,
                   "tmpfs and shared memory take %s of the limit of %s in %.*s: no purge can give "
                   "that back",
                   words_bytes(level->shmem), words_bytes(d->effective_bytes), len, path);
}

/* A kill takes the highest oom group up to the level that is full; if none binds, the machine is
 * full, or a level that cannot be seen. */
static void judge_oom_group(struct diagnosis *d, const struct doctor_level *binding)
{
    size_t len = binding != NULL ? binding->oom_group_len : d->oom_group_len;
    if (len > 0)
        doctor_add(d, DOCTOR_NOTE, DOCTOR_OOM_GROUP,
                   "memory.oom.group is set in %.*s: a kill takes every process there at once",
                   (int)len, d->cgroup.memory.path);
}

static void judge_cpu(struct diagnosis *d)
{
    if (d->millicpus < ONE_CPU && d->affinity >= MANY_CPUS)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_CPU,
                   "a quota of %u.%03u CPU on %u CPUs: programs that start a thread for each CPU "
                   "will be stopped for most of each period",
                   (unsigned)(d->millicpus / 1000), (unsigned)(d->millicpus % 1000), d->affinity);
}

static void judge_thp(struct diagnosis *d)
{
    if (strcmp(d->thp, "always") == 0 && d->options.thp == THP_DEFAULT)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_THP,
                   "transparent huge pages are \"always\" and PLIMSOLL_THP leaves them on: purged "
                   "memory can come back in pieces of 2 MiB");
}

void doctor_judge(struct diagnosis *d)
{
    const struct doctor_level *binding = binding_level(d);
    judge_view(d);
    judge_memory(d);
    judge_soft_limit(d);
    if (binding != NULL)
        judge_usage(d, binding);
    judge_oom_group(d, binding);
    judge_cpu(d);
    judge_thp(d);
    doctor_judge_process(d);
}
