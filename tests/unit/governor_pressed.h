/* For tests of reclaimers: inputs of a process that has one, and passes. */
#ifndef PLIM_TEST_GOVERNOR_PRESSED_H
#define PLIM_TEST_GOVERNOR_PRESSED_H

#include "governor_case.h"

static const uint64_t hard = GiB;

static inline struct governor_input pressed(uint64_t usage, uint64_t dirty)
{
    struct governor_input in = input_at(hard, usage, dirty);
    in.reclaimers = 1;
    in.listeners = true;
    return in;
}

/* One pass at in->now_ns, after a look: `asked` bytes were asked for, and `freed` bytes of live
 * memory were freed. */
static inline void pass(struct governor *g, const struct governor_input *in, uint64_t asked,
                        uint64_t freed)
{
    const struct governor_pass p = {
        .now_ns = in->now_ns,
        .asked = asked,
        .freed = freed,
        .used_before = governor_in_use(in),
        .used_after = governor_in_use(in) - freed,
        .live_before = governor_in_use(in),
        .live_after = governor_in_use(in) - freed,
    };
    (void)look_at(g, in);
    governor_pass_done(g, &p);
}

#endif
