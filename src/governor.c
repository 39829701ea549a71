/* The decisions, see governor.h. */
#include "governor_internal.h"

/* Hysteresis: a level ends this much of the hard limit below where it begins. */
static const uint64_t hysteresis_percent = 5;

static const uint64_t watch_far_ns = NS_PER_S;
static const uint64_t watch_near_ns = 100 * NS_PER_MS;
static const uint64_t watch_line_ns = 20 * NS_PER_MS;
/* What others may take within watch_far_ns. */
static const uint64_t grown_meanwhile = GiB;
/* Free pages worth a watcher's wake-up. */
static const uint64_t dirty_worth = 2 * MiB;
/* A heap is idle after so long without a change; longer while there is room for all. */
static const uint64_t idle_near_ns = 150 * NS_PER_MS;
static const uint64_t idle_far_ns = 10 * NS_PER_S;
/* Until pages that no purge got are tried for again. */
static const uint64_t retry_after_ns = NS_PER_S;
/* After so long the watcher of an idle heap that has nothing to give goes to sleep. */
static const uint64_t dormant_after_ns = 3 * NS_PER_S;

/* Threads whose wait for reclaimers is over go on by one step in all, but each by this at least:
 * there may be many of them, and the watcher may get little of the CPU. */
static const uint64_t held_step_min = 16 * KiB;

void governor_init(struct governor *g, const struct options *options, uint64_t now_ns)
{
    *g = (struct governor){
        .profile = options->wish.profile,
        .reclaim_cpu = options->reclaim_cpu,
        .budget_at_ns = now_ns,
    };
    /* A process may be born into a group that is short of memory. */
    g->budget_ns = governor_budget_most(g);
}

/* No hysteresis once the limit has changed or another cgroup's binds: the old level was its. */
static enum plim_level next_level(const struct governor *g, const struct limits *l, uint64_t usage)
{
    const uint64_t begins[] = {
        [PLIM_LOW] = l->low, [PLIM_MEDIUM] = l->soft, [PLIM_CRITICAL] = l->critical};
    uint64_t slack = u64_min(percent(l->hard, hysteresis_percent), percent(l->soft, 10));
    if (g->hard != l->hard)
        slack = 0;
    enum plim_level at = PLIM_CRITICAL;
    while (at > PLIM_NORMAL && usage < u64_less(begins[at], at <= g->level ? slack : 0))
        at--;
    return at;
}

/* To the kernel thread caches are in use. Emptying them costs each thread some microseconds and the
 * locks of the arenas, so it is done the more rarely the farther the limit is. */
static bool flush_due(const struct governor *g, const struct governor_input *in)
{
    uint64_t projected = projected_usage(in);
    uint64_t every = projected >= in->limits.critical ? 2 * NS_PER_MS
                     : projected >= in->limits.soft   ? 20 * NS_PER_MS
                                                      : 200 * NS_PER_MS;
    return projected >= in->limits.low && in->now_ns - g->flushed_ns >= every;
}

/* Notes whether the heap has changed; returns for how long it has not, and no allocating thread has
 * looked. */
static uint64_t note_idle(struct governor *g, const struct governor_input *in)
{
    bool changed = in->committed != g->looked_committed || in->active != g->looked_active;
    g->looked_committed = in->committed;
    g->looked_active = in->active;
    if (changed)
        g->changed_ns = in->now_ns;
    if (changed || !in->from_watcher)
        g->idle_since_ns = in->now_ns;
    return in->now_ns - g->idle_since_ns;
}

/* Others, where there are any, may use up the room below LOW before the watcher looks again. */
static bool room_may_go(const struct governor_input *in)
{
    return u64_less(in->limits.low, in->usage) <= grown_meanwhile;
}

static bool company_may_come(const struct governor_input *in)
{
    return has_company(in) && room_may_go(in);
}

/* Within a second a burst of others may need the `bytes` that a heap of this size holds or may
 * free. */
static bool burst_may_need(const struct governor_input *in, uint64_t bytes)
{
    return in->limits.source == LIMITS_CGROUP && room_may_go(in) &&
           foreseen(in) >= in->limits.hard / 4 && bytes >= in->limits.hard / 16;
}

/* Free pages age in a program that makes no calls: what an idle heap holds helps nobody. */
static bool idle_purge_due(const struct governor *g, const struct governor_input *in,
                           uint64_t idle_ns)
{
    uint64_t after_ns = in->usage >= in->limits.hard / 2             ? idle_near_ns
                        : burst_may_need(in, governor_purgeable(in)) ? dormant_after_ns
                                                                     : idle_far_ns;
    return governor_purgeable(in) >= purge_worth(in->limits.hard) && g->budget_ns > 0 &&
           idle_ns >= after_ns;
}

/* Once in a while a purge also tries for the pages that earlier ones did not get. */
static uint64_t purge_due(const struct governor *g, const struct governor_input *in,
                          uint64_t idle_ns)
{
    struct governor_input all = *in;
    if (in->now_ns - g->stuck_ns >= retry_after_ns)
        all.stuck = 0;
    return idle_purge_due(g, &all, idle_ns) ? UINT64_MAX : governor_purge(g, &all);
}

/* Shorter ages as the limit comes nearer. Few steps: each change starts jemalloc's ageing anew. */
static int64_t decay_for(const struct governor *g, const struct governor_input *in)
{
    const int64_t far = 10000; /* jemalloc's own default */
    if (in->usage < in->limits.hard / 2 && g->profile != PROFILE_TIGHT)
        return -1;
    uint64_t used = u64_share(100, u64_min(in->usage, in->limits.hard), in->limits.hard);
    uint64_t low = u64_share(100, in->limits.low, in->limits.hard);
    unsigned near_shift = used >= low ? 5 : used + 10 >= low ? 3 : used + 25 >= low ? 1 : 0;
    if (g->profile == PROFILE_TIGHT)
        near_shift += 2;
    if (g->profile == PROFILE_RELAXED && near_shift > 0)
        near_shift--;
    return far >> near_shift;
}

/* An eighth of the room to the kernel's limit, but never across the next line unseen. */
static uint64_t look_step(const struct governor_input *in, uint64_t usage)
{
    const struct limits *l = &in->limits;
    uint64_t line = usage < l->low              ? l->low
                    : usage < l->soft           ? l->soft
                    : usage < overdraft_line(l) ? overdraft_line(l)
                                                : l->critical;
    uint64_t least = u64_clamp(l->hard / 512, 128 * KiB, MiB);
    uint64_t coming = in->on_the_way + in->in_flight;
    uint64_t room = u64_less(u64_less(l->hard, usage + coming), in->nearer);
    uint64_t step = u64_clamp(room / 8, least, 64 * MiB);
    if (usage < line)
        step = u64_min(step, u64_max(least, line - usage));
    return u64_min(step, grown_by(in, 16));
}

static bool matters(const struct governor_input *in)
{
    /* Many processes may share a cgroup; the machine is rarely what binds. */
    bool cgroup = in->limits.source == LIMITS_CGROUP;
    uint64_t share = cgroup ? u64_clamp(in->limits.hard / 32, 4 * MiB, 128 * MiB)
                            : u64_max(in->limits.hard / 16, 4 * MiB);
    uint64_t committed = in->committed + possible_request(in);
    return committed >= share || (committed >= 4 * MiB && in->usage >= in->limits.hard / 2);
}

/* The count of pages taken shows neither a burst of frees nor what others take. So freeing threads
 * look as well, where all room may be gone by the watcher's next look, or where the watcher
 * sleeps. */
static uint64_t look_freed(const struct governor *g, const struct governor_input *in,
                           uint64_t purge, bool dormant)
{
    uint64_t left = u64_less(in->dirty, u64_min(purge, governor_purgeable(in)));
    if (dormant)
        return left + dirty_worth;
    if (!company_may_come(in))
        return 0;
    return u64_max(left, governor_kept(g, in)) + purge_worth(in->limits.hard);
}

static bool listened_to(const struct governor_input *in)
{
    return in->listeners || (in->heard && matters(in));
}

static uint64_t watch_interval(const struct governor *g, const struct governor_input *in,
                               uint64_t idle_ns)
{
    const struct limits *l = &in->limits;
    uint64_t free = governor_purgeable(in);
    bool has_free = free >= purge_worth(l->hard);
    bool waited_for = in->held > 0 && in->reclaimers > 0 && needed(in) >= l->soft;
    if ((in->usage >= l->soft || shares_room(in) || waited_for) && (has_free || listened_to(in)))
        return g->cannot_meet ? watch_near_ns : watch_line_ns;
    if (idle_ns >= dormant_after_ns && free < dirty_worth && !listened_to(in))
        return in->offered && governor_in_use(in) >= l->soft ? watch_far_ns : UINT64_MAX;
    /* A burst elsewhere may need within the second what is free here, or what becomes free. */
    bool active = in->now_ns - g->changed_ns < dormant_after_ns;
    bool half = foreseen(in) >= l->hard / 2;
    bool wanted = in->usage >= l->hard / 4 && has_free && free >= dirty_worth &&
                  (company_may_come(in) || burst_may_need(in, free));
    bool burst = active && burst_may_need(in, resident(in));
    return wanted || burst || (half && (active || listened_to(in))) ? watch_near_ns : watch_far_ns;
}

/* Half of the room up to the wall, not to the limit: there threads would get past one look after
 * the other, each time by half of what is left. And half a step at most: the thread that looks may
 * get no CPU for long, and the limit may be lowered in that time. */
uint64_t governor_meanwhile(const struct governor_input *in)
{
    uint64_t coming = u64_max(in->promised, in->in_flight) + in->request;
    if (in->limits.source == LIMITS_NONE)
        return (uint64_t)INT64_MAX / 2;
    uint64_t room = u64_less(u64_less(growth_wall(in), in->usage), coming + in->nearer);
    return u64_min(room / 2, grown_by(in, 32));
}

static void look_unlimited(struct governor *g, struct governor_decision *ret)
{
    *ret = (struct governor_decision){
        .level = PLIM_NORMAL,
        .level_changed = g->level != PLIM_NORMAL,
        .decay_ms = -1,
        .look_after = 64 * MiB,
        .watch_after_ns = UINT64_MAX,
    };
    g->level = PLIM_NORMAL;
    g->coalesces = false;
    g->over_since_ns = 0;
}

/* What depends on how much is left in use: `usage`, once the request is made. */
static void settle(const struct governor *g, const struct governor_input *in, uint64_t usage,
                   struct governor_decision *ret)
{
    uint64_t step = look_step(in, usage);
    governor_hold(g, in, usage, ret);
    ret->look_after = step;
    if (ret->hold_ns > 0 && in->reclaimers > 0 && !g->cannot_meet)
        ret->look_after = u64_max(step / (in->held > 0 ? in->held : 1), held_step_min);
    if (ret->hold_ns == 0 && usage < wall(&in->limits)) /* else it may fail: it commits nothing */
        ret->look_after += possible_request(in);
}

void governor_gave(const struct governor *g, const struct governor_input *in, uint64_t given,
                   struct governor_decision *d)
{
    if (given < u64_min(d->purge, governor_purgeable(in)))
        settle(g, in, u64_less(projected_usage(in), given), d);
}

void governor_look(struct governor *g, const struct governor_input *in,
                   struct governor_decision *ret)
{
    const struct limits *l = &in->limits;
    if (l->source == LIMITS_NONE || l->hard == 0) {
        look_unlimited(g, ret);
        return;
    }
    governor_refill(g, in->now_ns);
    governor_watch_tide(g, in);
    enum plim_level level = next_level(g, l, in->usage);
    uint64_t projected = projected_usage(in);
    uint64_t idle_ns = note_idle(g, in);
    uint64_t purge = purge_due(g, in, idle_ns), ask = reclaimable_share(in);
    uint64_t after = u64_less(projected, u64_min(purge, governor_purgeable(in)));
    uint64_t step = look_step(in, after);
    *ret = (struct governor_decision){
        .level = level,
        .level_changed = level != g->level,
        .purge = purge,
        .flush_caches = flush_due(g, in),
        .coalesce = governor_coalesces(g, in, level >= PLIM_LOW),
        .decay_ms = decay_for(g, in),
        .heap_matters = matters(in) || in->listeners,
        .watch_after_ns = watch_interval(g, in, idle_ns),
        .wanting = settled(in) >= l->soft,
        .callbacks_due = ask > 0 && in->reclaimers > 0 && governor_pass_due(g, in, step),
        .no_room = after >= wall(l) && !may_swap(in),
    };
    if (ret->callbacks_due && possible_request(in) > 0)
        ret->ask = ask;
    settle(g, in, after, ret);
    ret->no_room = ret->no_room || possible_request(in) != in->request;
    ret->dormant = ret->watch_after_ns == UINT64_MAX && in->from_watcher && ret->heap_matters;
    ret->look_freed = look_freed(g, in, purge, ret->dormant);
    ret->look_refilled_ns = governor_slabs_look_ns(in);
    if (ret->flush_caches)
        g->flushed_ns = in->now_ns;
    g->level = level;
    g->hard = l->hard;
}
