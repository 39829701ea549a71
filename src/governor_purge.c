/* How many free pages to give back, and what it may cost, see governor.h. */
#include "governor_internal.h"

/* What a program can touch between two looks of the watcher, at 1 GiB a second. */
static const uint64_t unseen_growth = 128 * MiB;
/* Pages that another thread is just giving back are gone after this time. */
static const uint64_t in_hands_ns = 100 * NS_PER_MS;

/* Pages that come back within so long, or twice that, are worth keeping. */
static const uint64_t tide_spell_ns = 300 * NS_PER_MS;

/* Amounts below this tell nothing about a purge. */
static const uint64_t missing_worth = 512 * KiB;

/* What a purge leaves free below the line where purging starts: until that is used up, none is due.
 * Little enough that no thread is kept for long by doing it. */
static uint64_t spare(const struct limits *l)
{
    return u64_min(percent(l->hard, 1), 16 * MiB);
}

/* By four fifths of the cap: with the six seconds' worth of it that may be saved up and overdrawn,
 * any 30 s keep to the cap. */
void governor_refill(struct governor *g, uint64_t now_ns)
{
    uint64_t passed = u64_min(u64_less(now_ns, g->budget_at_ns), 60 * NS_PER_S);
    int64_t most = governor_budget_most(g);
    g->budget_ns += (int64_t)u64_share(passed * 4 / 5, g->reclaim_cpu, 100 * 1000);
    if (g->budget_ns > most)
        g->budget_ns = most;
    g->budget_at_ns = now_ns;
}

void governor_spend(struct governor *g, uint64_t cpu_ns)
{
    g->budget_ns -= (int64_t)u64_min(cpu_ns, 60 * NS_PER_S);
}

uint64_t governor_stuck(const struct governor *g, uint64_t dirty)
{
    return u64_min(g->stuck, dirty);
}

/* Purges have got next to nothing for a while. A single one may fall short only because other
 * threads give back or reuse pages at the same time. */
static bool gives_nothing(struct governor *g, const struct governor_purged *p)
{
    bool first = g->short_since_ns == 0 || p->now_ns - g->short_since_ns >= 2 * NS_PER_S;
    if (p->given >= p->wanted / 8)
        g->short_since_ns = 0;
    else if (first)
        g->short_since_ns = p->now_ns;
    return g->short_since_ns != 0 && p->now_ns - g->short_since_ns >= in_hands_ns;
}

/* A purge that gives less than it wanted went through all arenas: what is left is stuck if the
 * kernel refused some, or if the next ones give nothing either. */
void governor_purge_done(struct governor *g, const struct governor_purged *p)
{
    bool all = p->wanted > u64_less(p->dirty_left + p->given, g->stuck);
    if (u64_less(p->wanted, p->given) >= missing_worth) {
        bool nothing = gives_nothing(g, p);
        if (!nothing && p->refused == g->refused)
            return;
        g->stuck = nothing ? p->dirty_left : u64_min(p->dirty_left, p->refused);
        g->stuck_ns = p->now_ns;
    } else if (p->given >= missing_worth) {
        g->stuck = all ? 0 : g->stuck;
        g->short_since_ns = 0;
        g->refused = p->refused;
    }
}

/* Pages being touched may carry usage past the limit before the next look: usage is near it, and
 * more is committed than fits below it. */
static bool may_pass_unseen(const struct governor_input *in)
{
    const struct limits *l = &in->limits;
    bool near = in->usage >= l->low ||
                (in->usage >= l->hard / 2 && u64_less(l->hard, in->usage) < unseen_growth);
    return near && foreseen(in) >= l->critical && governor_purgeable(in) >= purge_worth(l->hard);
}

/* The heap grows though much of it is free. A look of the watcher's, or one aside, can only end
 * this, not begin it. */
static bool grows_beside(struct governor *g, const struct governor_input *in)
{
    uint64_t much = in->committed / (g->coalesces ? 16 : 8);
    if (!in->from_watcher)
        return in->dirty >= much && (!in->aside || g->coalesces);
    bool grown = in->committed > g->seen_committed;
    g->seen_committed = in->committed;
    return grown && g->coalesces;
}

/*
 * Free pages beside which a heap grows do not fit what it asks for; joined they do, which costs
 * less than fresh pages. Near the limit they are joined in any case, since fresh pages are paid for
 * twice there. Without a watcher they are not: joined runs are not given back at once, however
 * large, and nobody would see that they lie unused. Nor far from a limit above 1 GiB, under which
 * large blocks keep their free pages: what a growing vector leaves would stay.
 */
bool governor_coalesces(struct governor *g, const struct governor_input *in, bool near)
{
    bool misfit = in->limits.hard <= GiB && grows_beside(g, in);
    g->coalesces = in->watched && (near || misfit);
    return g->coalesces;
}

/* What was in use, was freed and is in use again counts as coming back; growth beyond the former
 * crest, or what was freed once, does not. */
void governor_watch_tide(struct governor *g, const struct governor_input *in)
{
    unsigned passed = governor_spells_passed(&g->spell_ns, in->now_ns, tide_spell_ns);
    if (passed > 0) {
        g->came_back_before = passed == 1 ? g->came_back : 0;
        g->came_back = 0;
        g->trough = u64_min(in->active, g->crest);
    }
    g->trough = u64_min(g->trough, in->active);
    g->came_back = u64_max(g->came_back, u64_min(in->active, g->crest) - g->trough);
    if (in->active >= g->crest)
        g->crest = g->trough = in->active;
}

/* Our share of the room; or, well below LOW, what the heap would soon take again at the cost of as
 * many page faults, provided that a watcher is there to see when it does not. */
uint64_t governor_kept(const struct governor *g, const struct governor_input *in)
{
    uint64_t tide = u64_max(g->came_back, g->came_back_before);
    if (!in->watched || projected_usage(in) >= u64_less(in->limits.low, in->limits.hard / 16))
        return free_allowance(in);
    return u64_max(free_allowance(in), u64_min(tide, own_share(in, in->limits.low)));
}

static uint64_t shared_purge(const struct governor *g, const struct governor_input *in)
{
    uint64_t beyond = shares_room(in) ? u64_less(governor_purgeable(in), governor_kept(g, in)) : 0;
    return beyond >= purge_worth(in->limits.hard) && g->budget_ns > 0 ? beyond : 0;
}

static uint64_t foreseen_purge(const struct governor *g, const struct governor_input *in)
{
    const struct limits *l = &in->limits;
    if (foreseen(in) < l->low || governor_purgeable(in) < purge_worth(l->hard) || g->budget_ns <= 0)
        return 0;
    return foreseen(in) - l->low + spare(l);
}

/*
 * Free pages to give back. Below CRITICAL only as much as brings usage under LOW, within the CPU
 * budget or, just past the soft limit, by overdrawing it: what stays is reused without page faults.
 * Where others share the room, all beyond what may be kept from them. From CRITICAL on, or where
 * what is committed leads there, a kill is near: whatever it costs, but still no more than leads
 * back below the soft limit.
 */
uint64_t governor_purge(const struct governor *g, const struct governor_input *in)
{
    const struct limits *l = &in->limits;
    uint64_t projected = projected_usage(in);
    if (governor_purgeable(in) < 64 * KiB)
        return 0;
    if (projected >= wall(l))
        return UINT64_MAX;
    if (projected >= l->critical || may_pass_unseen(in)) {
        uint64_t at_once = u64_less(projected, l->critical) + purge_at_once;
        return u64_clamp(foreseen(in) - l->soft, purge_worth(l->hard), at_once);
    }
    if (projected < l->low)
        return u64_max(foreseen_purge(g, in), shared_purge(g, in));
    if (governor_purgeable(in) < purge_worth(l->hard))
        return 0;
    uint64_t want = projected - l->low + spare(l);
    if (g->budget_ns <= 0) {
        if (projected < overdraft_line(l) || g->budget_ns <= -2 * governor_budget_most(g))
            return 0;
        want = projected - l->soft;
    }
    return u64_max(u64_max(own_share(in, want), purge_worth(l->hard)), shared_purge(g, in));
}
