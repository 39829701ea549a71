/* plimsoll doctor: what looks wrong. */
#include "doctor.h"

#include "../fmt.h"

#include <string.h>

/* Below this, program text, stacks and the allocator's own data take much of the limit. */
#define THIN_HEADROOM (64 * MiB)
/* Where a quota below one CPU means that bursts on many CPUs use it up at once. */
enum { MANY_CPUS = 4, ONE_CPU = 1000 };

struct text {
    char buf[32];
};

static struct text bytes(uint64_t v)
{
    struct text text = {""};
    struct fmt f = FMT_INIT(text.buf);
    fmt_bytes(&f, v);
    return text;
}

static void judge_view(struct diagnosis *d)
{
    const struct cgroup_dir *dir = &d->cgroup.memory;
    if (dir->confidence == CGROUP_NONE)
        doctor_add(d, DOCTOR_WARNING,
                   "no memory cgroup is visible: a limit set from outside cannot be seen; mount "
                   "/sys/fs/cgroup and /proc, or set PLIMSOLL_LIMIT in bytes");
    else if (dir->confidence == CGROUP_FALLBACK)
        doctor_add(d, DOCTOR_WARNING,
                   "the process's own cgroup is not visible here; %s is a guess, and a limit "
                   "below or beside it cannot be seen",
                   dir->path);
}

static void judge_memory(struct diagnosis *d)
{
    const struct cgroup_memory *memory = &d->memory;
    if (d->effective_bytes == UNLIMITED)
        doctor_add(d, DOCTOR_WARNING, "no limit and no RAM size is known: nothing to keep under");
    if (d->effective_bytes < THIN_HEADROOM)
        doctor_add(
            d, DOCTOR_WARNING,
            "a limit of %s leaves thin headroom: under %s, program text, stacks and tables take "
            "a large part of it",
            bytes(d->effective_bytes).buf, bytes(THIN_HEADROOM).buf);
    if (memory->hard != UNLIMITED && d->ram != UNLIMITED && memory->hard > d->ram)
        doctor_add(d, DOCTOR_WARNING,
                   "the limit of %s is larger than the machine's RAM of %s, which is taken instead",
                   bytes(memory->hard).buf, bytes(d->ram).buf);
    if (memory->high < memory->hard && memory->high != UNLIMITED)
        doctor_add(d, DOCTOR_WARNING,
                   "memory.high of %s is below the hard limit of %s: the kernel throttles the "
                   "program from there on, so that is taken as its limit",
                   bytes(memory->high).buf, bytes(memory->hard).buf);
    if (memory->hard == 0)
        doctor_add(d, DOCTOR_WARNING, "the memory limit is 0: nothing can run under it");
    if (d->cgroup.memory.version == 1 && memory->hard != UNLIMITED && d->swap != 0 &&
        d->swap != UNLIMITED && memory->swap > 0)
        doctor_add(d, DOCTOR_WARNING,
                   "swap is on (%s) and cgroup v1 lets the program into it at its limit: it slows "
                   "down instead of being killed",
                   bytes(d->swap).buf);
}

static void judge_soft_limit(struct diagnosis *d)
{
    const struct options *options = &d->options;
    if (!options->enabled)
        doctor_add(d, DOCTOR_PROBLEM, "PLIMSOLL is off: nothing is watched");
    else if (options->limit_kind == LIMIT_OFF)
        doctor_add(d, DOCTOR_PROBLEM, "PLIMSOLL_LIMIT is off: nothing is reclaimed");
    else if (options->limit_kind == LIMIT_BYTES && options->limit >= d->effective_bytes)
        doctor_add(d, DOCTOR_PROBLEM, "PLIMSOLL_LIMIT of %s is not below the limit of %s",
                   bytes(options->limit).buf, bytes(d->effective_bytes).buf);
}

static void judge_usage(struct diagnosis *d)
{
    for (unsigned i = 0; i < d->level_count; i++) {
        const struct doctor_level *level = &d->levels[i];
        uint64_t tightest = u64_min(level->hard, level->high);
        if (tightest != d->effective_bytes || level->usage == UNLIMITED || tightest == UNLIMITED)
            continue;
        uint64_t cache = level->reclaimable == UNLIMITED ? 0 : level->reclaimable;
        uint64_t used = u64_less(level->usage, cache);
        if (d->limits.source != LIMITS_NONE && used >= d->limits.soft)
            doctor_add(d, DOCTOR_WARNING, "usage of %s is over the soft limit of %s in %.*s",
                       bytes(used).buf, bytes(d->limits.soft).buf, (int)level->path_len,
                       d->cgroup.memory.path);
        return;
    }
}

static void judge_cpu(struct diagnosis *d)
{
    if (d->millicpus < ONE_CPU && d->affinity >= MANY_CPUS)
        doctor_add(d, DOCTOR_WARNING,
                   "a quota of %u.%03u CPU on %u CPUs: programs that start a thread for each CPU "
                   "will be stopped for most of each period",
                   (unsigned)(d->millicpus / 1000), (unsigned)(d->millicpus % 1000), d->affinity);
}

static void judge_thp(struct diagnosis *d)
{
    if (strcmp(d->thp, "always") == 0 && d->options.thp == THP_DEFAULT)
        doctor_add(d, DOCTOR_WARNING,
                   "transparent huge pages are \"always\" and PLIMSOLL_THP leaves them on: purged "
                   "memory can come back in pieces of 2 MiB");
}

static void judge_process(struct diagnosis *d)
{
    if (d->request.pid > 0 && d->request.root[0] == '\0' && d->maps_readable && !d->preloaded)
        doctor_add(d, DOCTOR_WARNING,
                   "process %d does not have libplimsoll.so loaded (a set-user-id or statically "
                   "linked program ignores LD_PRELOAD)",
                   d->request.pid);
}

void doctor_judge(struct diagnosis *d)
{
    judge_view(d);
    judge_memory(d);
    judge_soft_limit(d);
    judge_usage(d);
    judge_cpu(d);
    judge_thp(d);
    judge_process(d);
}
