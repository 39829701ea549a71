/*
 * A simulated process with a cache that its reclaimer can free, but not while it is busy; for
 * hours. The cache fills, the program needs memory for something else, in small blocks or in one,
 * memory other than the heap comes and goes, the limit changes, all is quiet. Whatever came before,
 * the process must not be killed while its cache could be freed.
 */
#include "governor_simulated.h"

#include <criterion/criterion.h>

struct process {
    struct governor g;
    struct limits limits;
    uint64_t most; /* the highest limit that is ever set */
    uint64_t rng;
    uint64_t now_ns;
    uint64_t live, cache, dirty, other;
    uint64_t look_at; /* committed bytes at which the next look is due */
    bool gate_shut, fragments;
    uint64_t watch_at;
    uint64_t delay_ns; /* at most, until a woken thread runs: the machine may be loaded */
    uint64_t pass_ns;  /* at most, for a call of the reclaimer */
    bool busy;
    uint64_t asked; /* of the watcher, for a request */
    unsigned held, passes, useless;
};

static uint64_t committed(const struct process *p)
{
    return p->live + p->cache + p->dirty;
}

static uint64_t usage(const struct process *p)
{
    return committed(p) + p->other;
}

static struct governor_decision look(struct process *p, uint64_t request, bool watcher,
                                     struct governor_input *in)
{
    *in = (struct governor_input){
        .now_ns = p->now_ns,
        .limits = p->limits,
        .usage = usage(p),
        .committed = committed(p),
        .active = p->live + p->cache,
        .dirty = p->dirty,
        .request = request,
        .reclaimers = 1,
        .listeners = true,
        .from_watcher = watcher,
        .watched = true,
        .held = p->held,
    };
    struct governor_decision d = look_at(&p->g, in);
    p->dirty -= u64_min(p->dirty, d.purge);
    p->look_at = committed(p) + d.look_after;
    p->gate_shut = d.level >= PLIM_LOW;
    if (d.watch_after_ns != UINT64_MAX)
        p->watch_at = u64_min(p->watch_at, p->now_ns + d.watch_after_ns);
    return d;
}

static void wake(struct process *p)
{
    p->watch_at = u64_min(p->watch_at, p->now_ns + random_below(&p->rng, p->delay_ns + 1));
}

static void pass(struct process *p, uint64_t needed, bool for_request,
                 const struct governor_input *before)
{
    struct governor_input after;
    uint64_t live = p->live + p->cache, given = p->busy ? 0 : u64_min(p->cache, needed);
    uint64_t took_ns = random_below(&p->rng, p->pass_ns + 1);
    p->now_ns += took_ns;
    p->cache -= given;
    p->dirty += given;
    p->passes++;
    p->useless += given == 0;
    (void)look(p, 0, true, &after);
    const struct governor_pass done = {
        .now_ns = p->now_ns,
        .took_ns = took_ns,
        .asked = needed,
        .for_request = for_request,
        .freed = given,
        .used_before = governor_in_use(before),
        .used_after = governor_in_use(&after),
        .live_before = live,
        .live_after = p->live + p->cache,
    };
    governor_pass_done(&p->g, &done);
}

/* A look of the watcher. Threads that are held look again after it. */
static void watch(struct process *p)
{
    struct governor_input in;
    p->watch_at = UINT64_MAX;
    struct governor_decision d = look(p, 0, true, &in);
    (void)governor_meets(&p->g, &in);
    uint64_t needed = d.callbacks_due ? governor_target(&p->g, &in, p->live + p->cache) : 0;
    bool for_request = p->asked > 0;
    needed = u64_max(needed, p->asked);
    p->asked = 0;
    if (needed > 0)
        pass(p, needed, for_request, &in);
}

/* Lets time pass until `ns`; the watcher runs when it is due. */
static void wait_until(struct process *p, uint64_t ns)
{
    while (p->watch_at <= ns) {
        p->now_ns = u64_max(p->now_ns, p->watch_at);
        watch(p);
    }
    p->now_ns = u64_max(p->now_ns, ns);
}

/* A thread that may have to wait for room. */
static void admit(struct process *p, uint64_t request)
{
    struct governor_input in;
    struct governor_decision d = look(p, request, false, &in);
    uint64_t start = p->now_ns;
    p->asked = u64_max(p->asked, d.ask);
    if (d.callbacks_due || d.level_changed || d.hold_ns > 0)
        wake(p);
    p->held = 1;
    while (p->now_ns - start < d.hold_ns) {
        uint64_t end = start + d.hold_ns;
        uint64_t again = request > 0 ? u64_min(end, p->now_ns + 20 * NS_PER_MS) : end;
        bool watcher = p->watch_at <= again;
        p->now_ns = u64_max(p->now_ns, u64_min(p->watch_at, again));
        if (watcher)
            watch(p);
        d = look(p, request, false, &in);
        if (d.ask == 0)
            continue;
        p->asked = u64_max(p->asked, d.ask);
        wake(p);
    }
    p->held = 0;
}

static void check(const struct process *p)
{
    cr_assert_leq(usage(p), p->limits.hard,
                  "killed after %u passes: live %zu cache %zu other %zu of %zu KiB", p->passes,
                  (size_t)(p->live / KiB), (size_t)(p->cache / KiB), (size_t)(p->other / KiB),
                  (size_t)(p->limits.hard / KiB));
}

static void allocate(struct process *p, uint64_t *kind, uint64_t size)
{
    if (must_look(size, p->gate_shut, u64_less(p->look_at, committed(p))))
        admit(p, size >= GATE ? size : 0);
    uint64_t fits = p->fragments ? 0 : size - random_below(&p->rng, size / 2 + 1);
    p->dirty -= u64_min(p->dirty, fits);
    *kind += size;
    check(p);
}

/* Grows by `bytes` in blocks of `size`, at `rate` bytes a second. */
static void grow(struct process *p, uint64_t *kind, uint64_t bytes, uint64_t size, uint64_t rate)
{
    for (uint64_t grown = 0; grown < bytes; grown += size) {
        allocate(p, kind, size);
        wait_until(p, p->now_ns + size * NS_PER_S / rate);
    }
}

static uint64_t random_rate(struct process *p)
{
    return (4 * MiB) << random_below(&p->rng, 9); /* up to 1 GiB/s */
}

static uint64_t random_size(struct process *p)
{
    return (16 * KiB) << random_below(&p->rng, 8); /* up to 2 MiB */
}

static void fill_cache(struct process *p)
{
    grow(p, &p->cache, random_below(&p->rng, p->limits.hard), random_size(p), random_rate(p));
}

/* What is not cache takes at most 80 % of the limit. */
static void need(struct process *p, bool at_once)
{
    uint64_t room = u64_less(p->limits.hard / 10 * 8, p->live + p->other);
    uint64_t bytes = random_below(&p->rng, room);
    if (at_once)
        allocate(p, &p->live, bytes);
    else
        grow(p, &p->live, bytes, random_size(p), random_rate(p));
    wait_until(p, p->now_ns + random_below(&p->rng, NS_PER_S));
    uint64_t freed = u64_less(p->live, random_below(&p->rng, p->limits.hard / 4));
    p->live -= freed;
    p->dirty += freed;
}

/* A query of up to a minute: it fills the cache to a little past the soft limit, and then allocates
 * and frees. */
static void query(struct process *p)
{
    uint64_t end = p->now_ns + random_below(&p->rng, 60 * NS_PER_S);
    uint64_t room = p->limits.soft + random_below(&p->rng, p->limits.critical - p->limits.soft);
    uint64_t most = u64_less(room, usage(p));
    p->busy = true;
    grow(p, &p->cache, random_below(&p->rng, most), 64 * KiB, random_rate(p));
    while (p->now_ns < end) {
        uint64_t some = random_below(&p->rng, u64_less(p->limits.critical, usage(p)) / 2);
        allocate(p, &p->live, some);
        wait_until(p, p->now_ns + random_below(&p->rng, 20 * NS_PER_MS));
        p->live -= some;
        p->dirty += some;
    }
    p->busy = false;
}

static void other_memory(struct process *p)
{
    uint64_t to = random_below(&p->rng, p->limits.hard / 20);
    while (p->other < to) {
        p->other = u64_min(to, p->other + p->limits.hard / 4096);
        wait_until(p, p->now_ns + 5 * NS_PER_MS);
    }
    p->other = to;
}

/* Never to less than an eighth above what is used: the governor allows for that much. */
static void set_limit(struct process *p)
{
    uint64_t hard = p->most - random_below(&p->rng, p->most / 4);
    if (hard / 9 * 8 > usage(p) && hard / 10 * 8 > p->live + p->other)
        p->limits = cgroup_limits(hard);
}

static void phase(struct process *p)
{
    switch (random_below(&p->rng, 8)) {
    case 0:
    case 1:
        query(p);
        break;
    case 2:
        fill_cache(p);
        break;
    case 3:
        need(p, true);
        break;
    case 4:
        other_memory(p);
        break;
    case 5:
        set_limit(p);
        break;
    case 6:
        wait_until(p, p->now_ns + random_below(&p->rng, 40 * NS_PER_S));
        break;
    default:
        need(p, false);
    }
}

static void simulate(uint64_t hard, uint64_t delay_ns, uint64_t pass_ns, uint64_t seed)
{
    struct process p = {
        .g = new_governor(),
        .limits = cgroup_limits(hard),
        .most = hard,
        .rng = rng_of(seed),
        .now_ns = START_NS,
        .watch_at = START_NS,
        .delay_ns = delay_ns,
        .pass_ns = pass_ns,
        .fragments = seed % 2 == 0,
    };
    for (unsigned i = 0; i < 500; i++)
        phase(&p);
    cr_assert_gt(p.passes - p.useless, 10u);
    cr_assert_gt(p.useless, 10u);
}

Test(governor_simulation_cache, a_process_is_not_killed_while_its_cache_could_go)
{
    const uint64_t hards[] = {32 * MiB, 96 * MiB, 256 * MiB, GiB, 16 * GiB};
    for (size_t i = 0; i < ARRAY_LEN(hards); i++)
        for (uint64_t seed = 1; seed <= 6; seed++)
            simulate(hards[i], NS_PER_MS, NS_PER_MS, seed);
}

Test(governor_simulation_cache, nor_where_the_watcher_comes_late_and_the_reclaimer_is_slow)
{
    for (uint64_t seed = 1; seed <= 6; seed++)
        simulate(256 * MiB, 100 * NS_PER_MS, 100 * NS_PER_MS, seed);
}
