/*
 * Simulated processes of one cgroup, each under a governor of its own, for minutes: each grows at
 * up to 500 MiB/s, rests, frees all or a part, and is idle for up to eight seconds. What they have
 * live together fits; the kernel tells nothing, so that each must know by its own looks when others
 * need what it holds.
 */
#include "governor_simulated.h"

#include <criterion/criterion.h>

#define PROCESSES_MOST 8

static const uint64_t rate_most = 450 * MiB, late_ns = 5 * NS_PER_MS;

struct process {
    struct governor g;
    uint64_t live, dirty;
    uint64_t look_at, look_freed, looked_ns, watch_at;
    bool gate_shut, watched;
    enum { IDLE, GROWS, RESTS } state;
    uint64_t target, size, rate; /* of the growth: total bytes, bytes of a block, bytes a second */
    uint64_t next_ns;            /* when the process does something next */
};

struct group {
    struct process processes[PROCESSES_MOST];
    unsigned count, held;
    struct limits limits;
    uint64_t rng, now_ns;
    bool fragments; /* what was freed never fits a new request */
};

static uint64_t usage(const struct group *group)
{
    uint64_t sum = MiB;
    for (unsigned i = 0; i < group->count; i++)
        sum += group->processes[i].live + group->processes[i].dirty;
    return sum;
}

/* The live memory once all growth under way is done. */
static uint64_t planned(const struct group *group)
{
    uint64_t sum = MiB;
    for (unsigned i = 0; i < group->count; i++) {
        const struct process *p = &group->processes[i];
        sum += p->state == GROWS ? p->target : p->live;
    }
    return sum;
}

static void set_watch(struct group *group, struct process *p, const struct governor_decision *d,
                      bool watcher)
{
    uint64_t at = UINT64_MAX;
    if (d->watch_after_ns != UINT64_MAX)
        at = group->now_ns + d->watch_after_ns + random_below(&group->rng, late_ns);
    if (d->heap_matters && !p->watched) {
        p->watched = true;
        p->watch_at = group->now_ns;
    }
    p->watch_at = watcher ? at : u64_min(p->watch_at, at);
    if (d->level_changed)
        p->watch_at = group->now_ns + random_below(&group->rng, late_ns);
}

static struct governor_decision look(struct group *group, struct process *p, uint64_t request,
                                     bool watcher)
{
    const struct governor_input in = {
        .now_ns = group->now_ns,
        .limits = group->limits,
        .usage = usage(group),
        .committed = p->live + p->dirty,
        .active = p->live,
        .dirty = p->dirty,
        .request = request,
        .from_watcher = watcher,
        .watched = p->watched,
        .held = group->held,
    };
    struct governor_decision d = look_at(&p->g, &in);
    uint64_t gone = u64_min(p->dirty, d.purge);
    p->dirty -= gone;
    governor_spend(&p->g, gone * NS_PER_MS / (4 * MiB));
    p->look_at = d.dormant ? 0 : p->live + p->dirty + d.look_after;
    p->look_freed = d.look_freed;
    p->looked_ns = group->now_ns;
    p->gate_shut = d.level >= PLIM_LOW;
    (void)governor_meets(&p->g, &in);
    set_watch(group, p, &d, watcher);
    return d;
}

/* Lets time pass until `ns`; the watchers run when they are due. */
static void wait_until(struct group *group, uint64_t ns)
{
    for (;;) {
        struct process *first = NULL;
        for (unsigned i = 0; i < group->count; i++) {
            struct process *p = &group->processes[i];
            if (p->watched && p->watch_at <= ns && (!first || p->watch_at < first->watch_at))
                first = p;
        }
        if (first == NULL)
            break;
        group->now_ns = u64_max(group->now_ns, first->watch_at);
        (void)look(group, first, 0, true);
    }
    group->now_ns = u64_max(group->now_ns, ns);
}

static void allocate(struct group *group, struct process *p)
{
    uint64_t request = p->size >= GATE ? p->size : 0, start = group->now_ns;
    if (must_look(p->size, p->gate_shut, u64_less(p->look_at, p->live + p->dirty))) {
        struct governor_decision d = look(group, p, request, false);
        group->held++;
        while (group->now_ns - start < d.hold_ns) {
            wait_until(group, u64_min(group->now_ns + 5 * NS_PER_MS, start + d.hold_ns));
            d = look(group, p, request, false);
        }
        group->held--;
    }
    uint64_t fits = group->fragments ? 0 : p->size - random_below(&group->rng, p->size / 2 + 1);
    p->dirty -= u64_min(p->dirty, fits);
    p->live += p->size;
    p->next_ns = group->now_ns + p->size * NS_PER_S / p->rate;
    cr_assert_leq(usage(group), group->limits.hard, "killed after %.1f s with %zu MiB live",
                  (double)(group->now_ns - START_NS) / 1e9, (size_t)(planned(group) / MiB));
}

static void release(struct group *group, struct process *p)
{
    uint64_t bytes =
        random_below(&group->rng, 3) > 0 ? p->live : random_below(&group->rng, p->live);
    p->live -= bytes;
    p->dirty += bytes;
    bool worth = p->dirty >= MiB && group->now_ns - p->looked_ns >= 5 * NS_PER_MS;
    if (p->look_freed > 0 && (p->dirty >= p->look_freed || worth))
        (void)look(group, p, 0, false);
    p->state = IDLE;
    p->next_ns = group->now_ns + random_below(&group->rng, 300 * NS_PER_MS);
    if (random_below(&group->rng, 2) > 0)
        p->next_ns += random_below(&group->rng, 8 * NS_PER_S);
}

/* Begins to grow, so that all processes together reach at most 85 % of the limit. */
static void begin_growth(struct group *group, struct process *p)
{
    uint64_t room = u64_less(group->limits.hard / 100 * 85, planned(group));
    p->next_ns = group->now_ns + random_below(&group->rng, 200 * NS_PER_MS);
    if (room < 4 * MiB)
        return;
    p->target = p->live + random_below(&group->rng, room);
    p->size = (16 * KiB) << random_below(&group->rng, 8); /* up to 2 MiB */
    p->rate = rate_most / 8 + random_below(&group->rng, rate_most);
    p->state = GROWS;
}

static void step(struct group *group)
{
    struct process *p = &group->processes[0];
    for (unsigned i = 1; i < group->count; i++) {
        if (group->processes[i].next_ns < p->next_ns)
            p = &group->processes[i];
    }
    wait_until(group, p->next_ns);
    if (p->state == IDLE) {
        begin_growth(group, p);
    } else if (p->state == RESTS) {
        release(group, p);
    } else if (p->live + p->size <= p->target) {
        allocate(group, p);
    } else {
        p->state = RESTS;
        p->next_ns =
            group->now_ns + random_below(&group->rng, 2) * random_below(&group->rng, NS_PER_S);
    }
}

Test(governor_simulation_group, processes_of_a_group_make_room_for_each_other)
{
    const unsigned counts[] = {2, 4, 8};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        for (uint64_t seed = 1; seed <= 16; seed++) {
            struct group group = {
                .count = counts[i],
                .limits = cgroup_limits(256 * MiB),
                .rng = rng_of(seed),
                .now_ns = START_NS,
                .fragments = seed % 2 == 0,
            };
            for (unsigned k = 0; k < group.count; k++) {
                group.processes[k].g = new_governor();
                group.processes[k].watch_at = UINT64_MAX;
                group.processes[k].next_ns = START_NS + random_below(&group.rng, NS_PER_S);
            }
            while (group.now_ns < START_NS + 300 * NS_PER_S)
                step(&group);
        }
    }
}
