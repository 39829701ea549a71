/*
 * What both halves of the governor use: governor.c (levels, purging, looks) and governor_passes.c
 * (reclaimers). Pure.
 */
#ifndef PLIM_GOVERNOR_INTERNAL_H
#define PLIM_GOVERNOR_INTERNAL_H

#include "governor.h"

/* Between two passes of reclaimers that give too little, at first. */
static const uint64_t pass_wait_min_ns = 20 * NS_PER_MS;

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

/* What is used and not just free pages: reclaimers are asked for what purging cannot give. */
static inline uint64_t needed(const struct governor_input *in)
{
    uint64_t used = u64_less(in->usage, in->dirty);
    return used + u64_min(possible_request(in), UINT64_MAX - used);
}

/* The smallest purge worth the calls. */
static inline uint64_t purge_worth(uint64_t hard)
{
    return u64_clamp(hard / 256, 128 * KiB, 4 * MiB);
}

/* Our part of what the group must give back, with some to spare so that parts add up. */
static inline uint64_t own_share(const struct governor_input *in, uint64_t bytes)
{
    uint64_t part = in->committed + in->committed / 4;
    return part >= in->usage ? bytes : u64_share(bytes, part, in->usage);
}

#endif
