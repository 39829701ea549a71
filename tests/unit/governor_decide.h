/* For the governor's tests: what one look decides. */
#ifndef PLIM_TEST_GOVERNOR_DECIDE_H
#define PLIM_TEST_GOVERNOR_DECIDE_H

#include "governor_case.h"

static const uint64_t hard = GiB;

static inline struct governor_decision decide(uint64_t usage, uint64_t dirty, uint64_t request)
{
    struct governor g = new_governor();
    struct governor_input in = rested_at(&g, hard, usage, dirty);
    in.request = request;
    return look_at(&g, &in);
}

static inline uint64_t hold(struct governor_input in)
{
    struct governor g = new_governor();
    return look_at(&g, &in).hold_ns;
}

#endif
