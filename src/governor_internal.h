/*
 * What the parts of the governor share: governor.c (levels, looks), governor_purge.c (free pages),
 * governor_slabs.c (pages in the middle of slabs), governor_in_flight.c (pages about to be touched)
 * and governor_passes.c (reclaimers, waiting).
 * Pure.
 */
#ifndef PLIM_GOVERNOR_INTERNAL_H
#define PLIM_GOVERNOR_INTERNAL_H

#include "governor.h"

/* Purging more than this keeps a thread for 5 ms or longer; under large limits the next look comes
 * before that much can be used up. */
static const uint64_t purge_at_once = 64 * MiB;

static inline uint64_t percent(uint64_t whole, uint64_t percent_)
{
    return u64_share(whole, percent_, 100);
}

/* Programs also ask for more than there can ever be: nothing is given up or waited for on account
 * of that. */
static inline uint64_t possible_request(const struct governor_input *in)
{
    return in->request < in->limits.hard ? in->request : 0;
}

/* The wall: from here on there is no room. The kernel counts in batches and other threads allocate
 * meanwhile, so the last stretch cannot be used. */
static inline uint64_t wall(const struct limits *l)
{
    return u64_max(l->critical, u64_less(l->hard, u64_clamp(l->hard / 64, 512 * KiB, 16 * MiB)));
}

/* Usage that purging cannot lower, once the request is made. */
static inline uint64_t settled(const struct governor_input *in)
{
    uint64_t used = governor_in_use(in);
    return used + u64_min(possible_request(in), UINT64_MAX - used);
}

/* Usage on account of which reclaimers are asked. Page cache on its way counts: growth must end
 * that much earlier, and what others take meanwhile needs the same room as ever. So do pages that
 * are about to be touched, up to the wall: threads wait there. */
static inline uint64_t needed(const struct governor_input *in)
{
    uint64_t used = governor_in_use(in) + in->on_the_way;
    return settled(in) + in->on_the_way + u64_min(in->in_flight, u64_less(wall(&in->limits), used));
}

/* Committed, and not given back in the middle of slabs. */
static inline uint64_t resident(const struct governor_input *in)
{
    return u64_less(in->committed, in->absent);
}

/* A fraction of the heap. Under a large limit looks follow the heap's growth, as the limit may be
 * lowered to an eighth above what is used. */
static inline uint64_t grown_by(const struct governor_input *in, unsigned parts)
{
    return u64_max(resident(in), 32 * MiB) / parts;
}

/* By the kernel's count others use much of the room as well. */
static inline bool others_take(const struct governor_input *in)
{
    return resident(in) + resident(in) / 4 < in->usage;
}

/* The smallest purge worth the calls. */
static inline uint64_t purge_worth(uint64_t hard)
{
    return u64_clamp(hard / 256, 128 * KiB, 4 * MiB);
}

/* Our part of what the group must give back, with some to spare so that parts add up. */
static inline uint64_t own_share(const struct governor_input *in, uint64_t bytes)
{
    uint64_t part = resident(in) + resident(in) / 4;
    return part >= in->usage ? bytes : u64_share(bytes, part, in->usage);
}

/* The smallest pass of reclaimers that is worth it below critical. */
static inline uint64_t pass_worth(uint64_t hard)
{
    return purge_worth(hard) / 2;
}

/* Bytes to ask of reclaimers, holes in slabs not yet taken off; 0: nothing worth a pass, and nobody
 * waits for one. */
static inline uint64_t reclaimable_share(const struct governor_input *in)
{
    const struct limits *l = &in->limits;
    uint64_t usage = needed(in);
    if (usage < l->soft)
        return 0;
    uint64_t share = own_share(in, usage - l->soft + percent(l->hard, 1));
    return usage >= l->critical || share >= pass_worth(l->hard) ? share : 0;
}

/* Others take from the same room, and nothing here shows how fast: other processes of the group, or
 * mappings of our own. */
static inline bool has_company(const struct governor_input *in)
{
    return in->limits.source == LIMITS_CGROUP && others_take(in);
}

static inline bool shares_room(const struct governor_input *in)
{
    return has_company(in) && in->usage >= in->limits.hard / 2;
}

/* Free pages that we may keep from others: only we can give them back, and we may get no CPU when
 * they are needed. From LOW on nothing, below it our part of the room. */
static inline uint64_t free_allowance(const struct governor_input *in)
{
    return own_share(in, u64_less(in->limits.low, in->usage + possible_request(in)));
}

/* Growth ends earlier: page cache on its way from a disk cannot make room for it. */
static inline uint64_t growth_wall(const struct governor_input *in)
{
    return u64_less(wall(&in->limits), in->on_the_way);
}

/* At the limit the kernel moves other pages to swap: nothing is killed, nor is there anything to
 * wait for but reclaimers. */
static inline bool may_swap(const struct governor_input *in)
{
    return in->swap_room > 0 && in->swap_room >= in->limits.hard / 16 &&
           in->swap_room >= possible_request(in);
}

/* From this usage on the budget may be overdrawn: bursts stay close to the soft limit, and free
 * pages alone do not make the level critical. */
static inline uint64_t overdraft_line(const struct limits *l)
{
    return l->soft + (l->critical - l->soft) / 4;
}

/* Whatever grows now may be killed for it. */
static inline bool at_wall(const struct governor_input *in)
{
    return governor_in_use(in) >= growth_wall(in) && !may_swap(in);
}

/* Usage once the request is made. */
static inline uint64_t projected_usage(const struct governor_input *in)
{
    uint64_t request = possible_request(in);
    return in->usage + u64_min(request, UINT64_MAX - in->usage);
}

/* Usage once all that is committed is touched. Pages allocated but not touched yet are in committed
 * and not in usage, and nothing announces the touch: the free pages whose room they will need have
 * to go before it. */
static inline uint64_t foreseen(const struct governor_input *in)
{
    return u64_max(in->usage, resident(in) + in->promised) + possible_request(in);
}

/* What is remembered of late is remembered by spells of that length. 0: the present one goes on;
 * else the next begins: 1: the present one is the one before; 2: that was too long ago. */
static inline unsigned governor_spells_passed(uint64_t *began_ns, uint64_t now_ns,
                                              uint64_t length_ns)
{
    uint64_t passed = u64_less(now_ns, *began_ns) / length_ns;
    if (passed > 0)
        *began_ns = now_ns;
    return (unsigned)u64_min(passed, 2);
}

/* Two seconds' worth of the cap. Twice that may be overdrawn, so that any two seconds see four
 * times the cap at most. */
static inline int64_t governor_budget_most(const struct governor *g)
{
    return (int64_t)u64_share(2 * NS_PER_S, g->reclaim_cpu, 100 * 1000);
}

/* Whether reclaimers may be asked again. `step`: bytes until the next look. */
bool governor_pass_due(const struct governor *g, const struct governor_input *in, uint64_t step);
/* How long the thread that looks is to wait, and whether for other threads; `usage`: what the purge
 * will leave. */
void governor_hold(const struct governor *g, const struct governor_input *in, uint64_t usage,
                   struct governor_decision *d);
/* Whether free pages should become one run with their neighbours at once. */
bool governor_coalesces(struct governor *g, const struct governor_input *in, bool near);
/* Notes how pages in use fall and rise again. */
void governor_watch_tide(struct governor *g, const struct governor_input *in);
/* Free pages that may be kept from others who share the room. */
uint64_t governor_kept(const struct governor *g, const struct governor_input *in);
/* Lets the budget grow with the time that has passed. */
void governor_refill(struct governor *g, uint64_t now_ns);
/* When threads that fill slabs look, see governor_decision. */
uint64_t governor_slabs_look_ns(const struct governor_input *in);
/* Bytes of free pages to give back now; UINT64_MAX: all. */
uint64_t governor_purge(const struct governor *g, const struct governor_input *in);

#endif
