/*
 * A simulated process under the governor, for hours: random growth, freeing, memory other than its
 * heap, quiet times. What must hold whatever the process does is checked at every step.
 */
#include "governor_simulated.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define SLICE_NS  (100 * NS_PER_MS)
#define WINDOW_NS (2 * NS_PER_S)

struct process {
    struct governor g;
    struct limits limits;
    uint64_t rng;
    uint64_t now_ns;
    uint64_t live, dirty, other; /* other: program text, metadata, stacks */
    uint64_t look_at;            /* committed bytes at which the next look is due */
    uint64_t purge_bytes_per_ms;
    bool fragments; /* what was freed never fits a new request */
    bool gate_shut;
    bool watched;
    uint64_t watch_at;
    unsigned looks, purges;
    uint64_t most_usage;
    /* CPU time spent below the critical line, in slices of time: a ring that covers the window. */
    uint64_t spent[WINDOW_NS / SLICE_NS + 1];
    uint64_t slice;
};

static uint64_t committed(const struct process *p)
{
    return p->live + p->dirty;
}

static uint64_t usage(const struct process *p)
{
    return committed(p) + p->other;
}

static void pass_time(struct process *p, uint64_t ns)
{
    const uint64_t slots = ARRAY_LEN(p->spent);
    p->now_ns += ns;
    uint64_t slice = p->now_ns / SLICE_NS;
    for (uint64_t s = u64_max(p->slice + 1, u64_less(slice, slots)); s <= slice; s++)
        p->spent[s % slots] = 0;
    p->slice = slice;
}

static uint64_t spent_in_window(const struct process *p)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(p->spent); i++)
        sum += p->spent[i];
    return sum;
}

/* A purge gives back what was asked for or up to twice as much, as pages go in runs. */
static void purge(struct process *p, uint64_t bytes, bool near_kill)
{
    uint64_t most = bytes > UINT64_MAX / 2 ? UINT64_MAX : bytes + random_below(&p->rng, bytes);
    uint64_t gone = u64_min(p->dirty, most);
    uint64_t cpu_ns = gone * NS_PER_MS / p->purge_bytes_per_ms;
    p->dirty -= gone;
    p->purges++;
    governor_spend(&p->g, cpu_ns);
    pass_time(p, cpu_ns);
    if (!near_kill)
        p->spent[p->slice % ARRAY_LEN(p->spent)] += cpu_ns;
}

static void look(struct process *p, uint64_t request, bool watcher)
{
    const struct governor_input in = {
        .now_ns = p->now_ns,
        .limits = p->limits,
        .usage = usage(p),
        .committed = committed(p),
        .active = p->live,
        .from_watcher = watcher,
        .dirty = p->dirty,
        .request = request,
    };
    struct governor_decision d = look_at(&p->g, &in);
    p->looks++;
    cr_assert_lt((uint64_t)d.level, 4u);
    cr_assert(d.decay_ms > 0 || d.decay_ms == -1);
    if (d.purge > 0)
        purge(p, d.purge, in.usage + request >= p->limits.critical);
    p->look_at = committed(p) + d.look_after;
    p->gate_shut = d.level >= PLIM_LOW;
    p->watched = p->watched || d.heap_matters;
    p->watch_at = d.watch_after_ns == UINT64_MAX ? UINT64_MAX : p->now_ns + d.watch_after_ns;
}

static void check(struct process *p)
{
    p->most_usage = u64_max(p->most_usage, usage(p));
    cr_assert_leq(usage(p), p->limits.hard, "killed after %u looks: live %zu other %zu KiB",
                  p->looks, (size_t)(p->live / KiB), (size_t)(p->other / KiB));
}

static void allocate(struct process *p, uint64_t size)
{
    if (must_look(size, p->gate_shut, u64_less(p->look_at, committed(p))))
        look(p, size >= GATE ? size : 0, false);
    uint64_t fits = p->fragments ? 0 : size - random_below(&p->rng, size / 2 + 1);
    uint64_t reused = u64_min(p->dirty, fits);
    p->dirty -= reused;
    p->live += size;
    check(p);
}

static void release(struct process *p, uint64_t size)
{
    size = u64_min(size, p->live);
    p->live -= size;
    p->dirty += size;
}

/* The process's other memory grows or shrinks, by less than looks allow for. */
static void drift(struct process *p, uint64_t most)
{
    if (p->other < most)
        p->other += random_below(&p->rng, p->limits.hard / 2048);
    else
        p->other -= random_below(&p->rng, most / 4);
}

static struct process process_under(uint64_t hard, unsigned soft_percent, uint64_t seed)
{
    struct options o = default_options();
    o.wish.value = soft_percent * 1000;
    struct process p = {
        .limits = limits_from_hard(LIMITS_CGROUP, hard, &o.wish),
        .rng = rng_of(seed),
        .now_ns = START_NS,
        .purge_bytes_per_ms = hard / 200, /* all in 200 ms: far slower than in reality */
    };
    governor_init(&p.g, &o, p.now_ns);
    pass_time(&p, 0);
    return p;
}

/* One step of a program whose live bytes wander below live_max. */
static void step(struct process *p, uint64_t live_max, bool drifts)
{
    uint64_t size = random_below(&p->rng, 4) > 0 ? random_below(&p->rng, 512 * KiB)
                                                 : random_below(&p->rng, p->limits.hard / 16);
    switch (random_below(&p->rng, 8)) {
    case 0:
        release(p, random_below(&p->rng, p->live)); /* the end of a phase */
        break;
    case 1:
    case 2:
        release(p, size);
        break;
    case 3:
        pass_time(p, random_below(&p->rng, 2) > 0 ? random_below(&p->rng, 50 * NS_PER_MS)
                                                  : random_below(&p->rng, 2 * NS_PER_S));
        if (drifts)
            drift(p, p->limits.hard / 32);
        break;
    default:
        if (p->live + size <= live_max)
            allocate(p, size);
        pass_time(p, random_below(&p->rng, NS_PER_MS));
    }
    if (p->watched && p->now_ns >= p->watch_at)
        look(p, 0, true);
}

static void simulate(uint64_t hard, unsigned soft_percent, unsigned live_percent, uint64_t seed)
{
    struct process p = process_under(hard, soft_percent, seed);
    uint64_t live_max = hard / 100 * live_percent;
    p.fragments = seed % 2 == 0;
    while (p.now_ns < START_NS + 2 * 3600 * NS_PER_S && p.looks < 200000) {
        step(&p, live_max, false);
        check(&p);
    }
    cr_assert_gt(p.looks, 100u);
    cr_assert_gt(p.purges, 10u, "there was pressure: %u purges", p.purges);
}

Test(governor_simulation, usage_never_passes_the_hard_limit_while_pages_can_be_purged)
{
    const uint64_t hards[] = {32 * MiB, 64 * MiB, 256 * MiB, GiB, 16 * GiB};
    for (size_t i = 0; i < ARRAY_LEN(hards); i++)
        for (uint64_t seed = 1; seed <= 4; seed++)
            simulate(hards[i], 90, 90, seed);
}

Test(governor_simulation, nor_where_the_soft_limit_is_far_below_or_close_to_it)
{
    const unsigned percents[] = {30, 60, 95, 100};
    for (size_t i = 0; i < ARRAY_LEN(percents); i++)
        for (uint64_t seed = 1; seed <= 4; seed++)
            simulate(512 * MiB, percents[i], 93, seed);
}

Test(governor_simulation, nor_while_other_memory_of_the_process_moves)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct process p = process_under(512 * MiB, 90, seed);
        for (unsigned i = 0; i < 500000; i++)
            step(&p, 512 * MiB / 100 * 85, true);
    }
}

/* Frees and allocates without a pause, just below the line where purging begins. */
static void storm(struct process *p)
{
    if (p->live > p->limits.low - p->limits.hard / 10)
        release(p, random_below(&p->rng, 8 * MiB));
    else
        allocate(p, random_below(&p->rng, 4 * MiB));
    pass_time(p, NS_PER_MS);
    if (p->watched && p->now_ns >= p->watch_at)
        look(p, 0, true);
}

Test(governor_simulation, purging_below_critical_keeps_to_the_cap_over_any_two_seconds)
{
    uint64_t most = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct process p = process_under(512 * MiB, 90, seed);
        p.fragments = seed % 2 == 0;
        for (unsigned i = 0; i < 200000; i++) {
            if (seed % 4 < 2)
                storm(&p);
            else
                step(&p, 512 * MiB / 100 * 80, false);
            uint64_t spent = spent_in_window(&p);
            most = u64_max(most, spent);
            cr_assert_leq(spent, WINDOW_NS / 5, "%zu ms in 2 s", (size_t)(spent / NS_PER_MS));
        }
    }
    cr_assert_gt(most, WINDOW_NS / 20, "the cap was put to the test: %zu ms",
                 (size_t)(most / NS_PER_MS));
}

Test(governor_simulation, far_from_the_limit_nothing_is_purged_and_looks_are_few)
{
    struct process p = process_under(4 * GiB, 90, 1);
    uint64_t allocated = 0;
    for (unsigned i = 0; i < 500000; i++) {
        uint64_t before = p.live;
        step(&p, GiB, false);
        allocated += u64_less(p.live, before);
        if (committed(&p) > 2 * GiB)
            p.dirty /= 2; /* free pages age */
    }
    cr_expect_eq(p.purges, 0u);
    cr_expect_gt(allocated, 100 * GiB);
    cr_expect_lt(p.looks, allocated / MiB);
}

Test(governor_simulation, idle_process_lets_go_of_its_pages_and_then_sleeps_for_ever)
{
    struct process p = process_under(GiB, 90, 1);
    allocate(&p, 300 * MiB);
    release(&p, 250 * MiB);
    look(&p, 0, false);
    unsigned wakeups = 0;
    while (p.watched && p.watch_at != UINT64_MAX && wakeups < 1000) {
        pass_time(&p, p.watch_at - p.now_ns);
        look(&p, 0, true);
        wakeups++;
    }
    cr_expect_gt(wakeups, 0u, "with pages to give it is watched");
    cr_expect_lt(wakeups, 100u);
    cr_expect_lt(p.dirty, 2 * MiB);
}
