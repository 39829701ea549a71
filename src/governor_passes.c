/* What to ask of reclaimers, and what to make of what they gave, see governor.h. */
#include "governor_internal.h"

static const uint64_t pass_wait_max_ns = 30 * NS_PER_S;
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

/*
 * Who gave little is asked again after a wait. Or before that, by a program that goes on towards
 * the kill: reclaimers may have been busy, with a lock that a long query held, and what they could
 * not give then may be all that keeps it alive now. Usage that comes and goes below what was left
 * by the last pass is no reason. A request that does not fit is one, and while threads wait it is
 * one again after the shortest wait.
 */
bool governor_pass_due(const struct governor *g, const struct governor_input *in, uint64_t step)
{
    bool grown = governor_in_use(in) >= u64_add(g->left, step);
    bool fits = possible_request(in) == 0 || needed(in) < wall(&in->limits);
    bool rested = in->held == 0 || in->now_ns - g->freed_ns >= pass_wait_min_ns;
    return in->now_ns >= g->next_pass_ns || grown || (!fits && rested);
}

void governor_pass_done(struct governor *g, const struct governor_pass *pass)
{
    uint64_t live_drop = u64_less(pass->live_before, pass->live_after);
    uint64_t used_drop = u64_less(pass->used_before, pass->used_after);
    uint64_t gave = u64_max(pass->freed, u64_max(live_drop, used_drop));
    g->freed = gave;
    g->freed_ns = pass->now_ns;
    g->left = pass->used_after;
    g->overhead = u64_less(pass->used_before, pass->live_before);
    if (pass->asked == 0)
        return; /* it tells nothing of those that are wanted here */
    bool useless = gave < pass->asked / 20;
    g->pass_wait_ns = useless ? u64_min(g->pass_wait_ns * 2, pass_wait_max_ns) : pass_wait_min_ns;
    g->next_pass_ns = useless ? pass->now_ns + g->pass_wait_ns : pass->now_ns;
    if (!useless)
        g->over_since_ns = 0;
}

enum governor_meets governor_meets(struct governor *g, const struct governor_input *in)
{
    bool over = in->limits.source != LIMITS_NONE && in->usage >= in->limits.soft &&
                governor_purgeable(in) < purge_worth(in->limits.hard);
    if (!over) {
        g->over_since_ns = 0;
        if (in->limits.source != LIMITS_NONE && governor_undroppable(in) < in->limits.soft) {
            g->pass_wait_ns = pass_wait_min_ns;
            g->next_pass_ns = 0;
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
