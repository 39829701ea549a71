/*
 * Pages in the middle of slabs, see governor.h: whether to give back those on which no block is in
 * use. They are what is left where blocks of other sizes have gone, and nothing else can use them;
 * but looking for them takes time, and they cost page faults when blocks of that size come back.
 */
#include "governor_internal.h"

/* Only a search tells which pages are free: so now and then a round is made however little has
 * become free, at a 64th of one CPU at most. */
static const uint64_t again_after_ns = 5 * NS_PER_S;
static const uint64_t again_cost = 64;
/* After a round that was not worth it the next one waits for this many times its CPU time, unless
 * much has become free. */
static const uint64_t fruitless_cost = 16;

/* Free blocks in memory, less those known not to be returnable. */
static uint64_t hopeful(const struct governor *g)
{
    return u64_less(u64_less(g->slabs_free, g->slabs_absent), g->slabs_kept);
}

/* Blocks on absent pages are handed out as well. Which ones is not known, so all that went are
 * taken for such, also in what the present round has counted. */
void governor_slabs_read(struct governor *g, uint64_t free)
{
    uint64_t went = u64_less(g->slabs_free, free);
    g->slabs_absent = u64_less(g->slabs_absent, went);
    g->slabs_found = u64_less(g->slabs_found, went);
    g->slabs_left = u64_less(g->slabs_left, went);
    g->slabs_free = free;
    g->slabs_kept = u64_min(g->slabs_kept, u64_less(free, g->slabs_absent));
}

/* A round over all slabs is worth it once this much has become free since the last one. */
static uint64_t round_worth(const struct governor_input *in)
{
    return in->limits.hard / 64;
}

static bool again_due(const struct governor *g, const struct governor_input *in)
{
    return g->slabs_free >= round_worth(in) && in->now_ns >= g->slabs_again_ns;
}

static bool round_due(const struct governor *g, const struct governor_input *in)
{
    bool hope = hopeful(g) >= round_worth(in), much = hopeful(g) >= 4 * round_worth(in);
    if (g->slabs_in_round)
        return hope || g->slabs_again;
    return again_due(g, in) || much || (hope && in->now_ns >= g->slabs_next_ns);
}

/* After free pages, which cost less, and before reclaimers, which cost the program something. But
 * where there are reclaimers only from CRITICAL on: what they free in slabs is for what is
 * allocated next. */
uint64_t governor_slabs(struct governor *g, const struct governor_input *in)
{
    const struct limits *l = &in->limits;
    uint64_t used = needed(in);
    if (l->source == LIMITS_NONE || used < (in->reclaimers > 0 ? l->critical : l->soft) ||
        (used < l->critical && g->budget_ns <= 0) || !round_due(g, in))
        return 0;
    g->slabs_worth = round_worth(in);
    if (!g->slabs_in_round)
        g->slabs_again = again_due(g, in);
    return u64_clamp(own_share(in, used - l->low), purge_worth(l->hard), purge_at_once);
}

static void end_round(struct governor *g, const struct governor_slabs_given *given)
{
    if (given->is_exact)
        g->slabs_absent = u64_min(g->slabs_found, g->slabs_free);
    g->slabs_kept = u64_min(u64_less(g->slabs_free, g->slabs_absent), g->slabs_left);
    uint64_t pause_ns = g->slabs_given < g->slabs_worth ? fruitless_cost * g->slabs_cpu_ns : 0;
    g->slabs_next_ns = given->now_ns + pause_ns;
    g->slabs_again_ns = given->now_ns + u64_max(again_after_ns, again_cost * g->slabs_cpu_ns);
    g->slabs_found = g->slabs_given = g->slabs_cpu_ns = 0;
}

void governor_slabs_done(struct governor *g, const struct governor_slabs_given *given)
{
    if (!g->slabs_in_round)
        g->slabs_left = u64_less(g->slabs_free, g->slabs_absent);
    g->slabs_in_round = !given->all;
    g->slabs_left = u64_less(g->slabs_left, given->bytes);
    g->slabs_found += given->bytes + given->absent;
    g->slabs_given += given->bytes;
    g->slabs_cpu_ns += given->cpu_ns;
    g->slabs_absent = u64_min(g->slabs_absent + given->bytes, g->slabs_free);
    if (given->all)
        end_round(g, given);
}

/* Near LOW every millisecond, in which a thread can touch a few MiB. Far from it only where more
 * may come back than the heap may grow by unseen: a cgroup's limit may be lowered. */
uint64_t governor_slabs_look_ns(const struct governor_input *in)
{
    if (in->absent < purge_worth(in->limits.hard))
        return 0;
    if (governor_undroppable(in) + in->absent >= in->limits.low)
        return NS_PER_MS;
    bool may_be_lowered = in->limits.source == LIMITS_CGROUP;
    return may_be_lowered && in->absent >= grown_by(in, 32) ? UINT64_MAX : 0;
}
