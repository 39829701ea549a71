/*
 * Pages in the middle of slabs, see governor.h: whether to give back those on which no block is in
 * use. They are what is left where blocks of other sizes have gone, and nothing else can use them;
 * but looking for them takes time, and they cost page faults when blocks of that size come back.
 */
#include "governor_internal.h"

/* Makes a thread wait for some milliseconds. */
static const uint64_t drop_at_once = 64 * MiB;

/* Free blocks in memory of which it is not known that they cannot be given back. */
static uint64_t hopeful(const struct governor *g)
{
    return u64_less(u64_less(g->slabs_free, g->slabs_absent), g->slabs_kept);
}

/* Blocks are handed out where there are no pages as well: which ones is not known, so all that went
 * are taken for such. */
void governor_slabs_read(struct governor *g, uint64_t free)
{
    g->slabs_absent = u64_less(g->slabs_absent, u64_less(g->slabs_free, free));
    g->slabs_free = free;
    g->slabs_kept = u64_min(g->slabs_kept, u64_less(free, g->slabs_absent));
}

/*
 * After free pages, which cost less, and before reclaimers, which cost the program something; but
 * what those free is for what is allocated next, so where there are any only what is critical
 * counts. Worth a round over all slabs is a 64th of the limit that has become free since the last
 * one.
 */
uint64_t governor_slabs(const struct governor *g, const struct governor_input *in)
{
    const struct limits *l = &in->limits;
    uint64_t used = needed(in);
    if (l->source == LIMITS_NONE || used < (in->reclaimers > 0 ? l->critical : l->soft) ||
        (used < l->critical && g->budget_ns <= 0) || hopeful(g) < l->hard / 64)
        return 0;
    uint64_t want = own_share(in, used - l->low);
    return u64_clamp(want, purge_worth(l->hard), drop_at_once);
}

void governor_slabs_done(struct governor *g, const struct governor_slabs_given *given)
{
    if (!g->slabs_in_round)
        g->slabs_left = u64_less(g->slabs_free, g->slabs_absent);
    g->slabs_in_round = !given->all;
    g->slabs_left = u64_less(g->slabs_left, given->bytes);
    g->slabs_found += given->bytes + given->absent;
    g->slabs_absent = u64_min(g->slabs_absent + given->bytes, g->slabs_free);
    if (!given->all)
        return;
    if (given->is_exact)
        g->slabs_absent = u64_min(g->slabs_found, g->slabs_free);
    g->slabs_kept = u64_min(u64_less(g->slabs_free, g->slabs_absent), g->slabs_left);
    g->slabs_found = 0;
}
