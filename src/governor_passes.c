/* What to ask of reclaimers, what to make of what they gave, and how long threads wait for it, see
 * governor.h. */
#include "governor_internal.h"

/* Between passes that give too little: at first, and at most. */
static const uint64_t pass_wait_min_ns = 20 * NS_PER_MS;
static const uint64_t pass_wait_max_ns = 30 * NS_PER_S;
static const uint64_t pass_wait_urgent_ns = 500 * NS_PER_MS; /* at most, for requests and rests */
/* How long threads wait for a pass that is due: under a CPU quota the watcher may get its turn only
 * in the next period of 100 ms, or the one after it. */
static const uint64_t reclaimers_take_ns = 300 * NS_PER_MS;
/* How long threads with large requests wait for their turn; and where as much is in flight: then a
 * kill is near, and threads that ran into the limit may sleep in the kernel, 100 ms each time. */
static const uint64_t turn_ns = 500 * NS_PER_MS;
static const uint64_t turn_crowded_ns = NS_PER_S;
static const uint64_t holes_last_ns = 2 * NS_PER_S;
static const uint64_t cannot_meet_after_ns = 10 * NS_PER_S;

uint64_t governor_target(const struct governor *g, const struct governor_input *in, uint64_t live)
{
    const struct limits *l = &in->limits;
    uint64_t want = l->source == LIMITS_NONE ? 0 : reclaimable_share(in);
    if (needed(in) >= l->critical)
        return want;
    /* Holes that the last pass left in slabs serve new requests first; only what outgrows them
     * needs another pass. Holes that nobody fills are no help. */
    uint64_t overhead = u64_less(governor_in_use(in), live); /* the program itself, stacks, holes */
    uint64_t holes = u64_min(g->freed, u64_less(overhead, g->overhead));
    if (in->now_ns - g->freed_ns >= holes_last_ns)
        holes = 0;
    uint64_t target = u64_less(want, holes);
    return target >= pass_worth(l->hard) ? target : 0;
}

static uint64_t room_below_limit(const struct governor_input *in)
{
    return u64_less(in->limits.hard, governor_in_use(in));
}

/* When the rest after the last pass is over: passes that gave nothing, or only what may have gone
 * without them, take a tenth of the time at most. */
static uint64_t rested(const struct governor *g)
{
    return g->freed_ns + g->rest_ns;
}

/*
 * Reclaimers that gave little are asked again after a wait, or earlier where the program goes on
 * towards a kill: they may have been busy, with a lock that a long query held, and what they could
 * not give then may be all that keeps the program alive now. So they are asked where the room has
 * shrunk by a step or, once it has come to its end, where anything wants more of it, and twice a
 * second where nothing does, but for a tenth of the time at most; and for a request that does not
 * fit. What such a request takes may never be touched, so passes for it have a wait of their own,
 * which doubles too, but not for long.
 */
bool governor_pass_due(const struct governor *g, const struct governor_input *in, uint64_t step)
{
    uint64_t room = room_below_limit(in);
    bool wanted = room < g->room || in->held > 0 || !in->from_watcher ||
                  in->now_ns >= g->freed_ns + pass_wait_urgent_ns;
    bool less_room = room + step <= g->room || (at_wall(in) && wanted);
    bool fits = possible_request(in) == 0 || needed(in) < wall(&in->limits) || may_swap(in);
    return in->now_ns >= g->pass.until_ns || (less_room && in->now_ns >= rested(g)) ||
           (!fits && in->now_ns >= g->request_pass.until_ns);
}

static struct governor_wait longer(struct governor_wait wait, uint64_t most_ns, uint64_t now_ns)
{
    uint64_t ns = u64_clamp(wait.ns * 2, pass_wait_min_ns, most_ns);
    return (struct governor_wait){.ns = ns, .until_ns = now_ns + ns};
}

void governor_pass_done(struct governor *g, const struct governor_pass *pass)
{
    uint64_t live_drop = u64_less(pass->live_before, pass->live_after);
    uint64_t used_drop = u64_less(pass->used_before, pass->used_after);
    uint64_t gave = u64_max(pass->freed, u64_max(live_drop, used_drop));
    uint64_t little = pass->asked / 20;
    g->freed = gave;
    g->freed_ns = pass->now_ns;
    g->room = u64_less(g->hard, u64_max(pass->used_before, pass->used_after));
    g->rest_ns = u64_clamp(9 * pass->took_ns, pass_wait_min_ns, pass_wait_urgent_ns);
    g->overhead = u64_less(pass->used_before, pass->live_before);
    if (pass->asked == 0)
        return; /* it tells nothing of passes that decisions ask for */
    /* What other threads freed counts as the reclaimers' doing where they say so. */
    bool frees = pass->freed >= u64_min(little, pass_worth(g->hard)) ||
                 (gave >= little && pass->said >= little);
    bool useless = !frees && gave < little;
    if (!useless) {
        g->pass = (struct governor_wait){.until_ns = frees ? 0 : rested(g)};
        g->request_pass = (struct governor_wait){0};
        g->over_since_ns = 0;
        return;
    }
    g->pass = longer(g->pass, pass_wait_max_ns, pass->now_ns);
    if (pass->for_request)
        g->request_pass = longer(g->request_pass, pass_wait_urgent_ns, pass->now_ns);
}

bool governor_pass_was_useless(const struct governor *g)
{
    return g->pass.ns > 0;
}

/*
 * How long a thread that wants memory at the limit should wait, at most, before it takes it all the
 * same. Somebody may be about to free: reclaimers, other processes of the group, other threads;
 * when ten seconds have shown that nobody does, hardly at all.
 */
static uint64_t hold_time(const struct governor *g, const struct governor_input *in,
                          const struct governor_decision *d, uint64_t usage)
{
    if (in->limits.source == LIMITS_MACHINE)
        return 0; /* nobody set that limit, and the machine has swap and other processes */
    bool reclaimers = in->reclaimers > 0 && d->callbacks_due;
    bool full = usage >= growth_wall(in);
    /* Threads are about to touch what they have just taken, and may free some then. */
    bool soon_full = usage + in->in_flight >= growth_wall(in) && (d->for_threads || reclaimers);
    bool crowded = (full || soon_full) && !may_swap(in);
    /* Only page cache on its way is in the way: in a moment the kernel can drop it. */
    bool read = crowded && usage + in->in_flight < wall(&in->limits);
    bool critical = d->level == PLIM_CRITICAL || governor_undroppable(in) >= in->limits.critical;
    if (!crowded && !(critical && reclaimers))
        return 0;
    if (g->cannot_meet && reclaimers && !in->in_vain)
        return reclaimers_take_ns;
    if (g->cannot_meet && in->reclaimers > 0 && !in->in_vain && at_wall(in))
        return 5 * NS_PER_MS; /* they are asked again soon */
    if (g->cannot_meet || (read && !reclaimers))
        return NS_PER_MS;
    if (in->reclaimers > 0 && crowded)
        return NS_PER_S;
    if (in->reclaimers > 0 && !in->in_vain)
        return reclaimers_take_ns;
    if (d->for_threads && possible_request(in) > 0)
        return in->in_flight >= possible_request(in) ? turn_crowded_ns : turn_ns;
    if (d->for_threads && in->in_flight >= purge_worth(in->limits.hard))
        return 100 * NS_PER_MS;
    return (others_take(in) ? 150 : 5) * NS_PER_MS;
}

void governor_hold(const struct governor *g, const struct governor_input *in, uint64_t usage,
                   struct governor_decision *d)
{
    /* Had they freed what they took lately, would there be room? Not where they do not touch it. */
    bool help = in->lately > 0 && u64_less(usage, in->lately) < growth_wall(in) &&
                in->now_ns >= g->flight_none_until_ns;
    d->for_threads = help && !in->alone && !in->in_vain;
    d->in_turn = possible_request(in) > 0 && (in->reclaimers > 0 || d->for_threads);
    d->hold_ns = hold_time(g, in, d, usage);
}

enum governor_meets governor_meets(struct governor *g, const struct governor_input *in)
{
    bool over = in->limits.source != LIMITS_NONE && in->usage >= in->limits.soft &&
                governor_purgeable(in) < purge_worth(in->limits.hard);
    if (!over) {
        g->over_since_ns = 0;
        if (in->limits.source != LIMITS_NONE && governor_undroppable(in) < in->limits.soft) {
            g->pass = (struct governor_wait){.until_ns = u64_min(g->pass.until_ns, rested(g))};
        }
        bool was = g->cannot_meet;
        g->cannot_meet = was && in->limits.source != LIMITS_NONE && in->usage >= in->limits.soft;
        return was && !g->cannot_meet ? GOVERNOR_CAN_AGAIN : GOVERNOR_SAME;
    }
    if (g->over_since_ns == 0)
        g->over_since_ns = in->now_ns;
    if (g->cannot_meet || in->now_ns - g->over_since_ns < cannot_meet_after_ns)
        return GOVERNOR_SAME;
    g->cannot_meet = true;
    return GOVERNOR_CANNOT;
}
