/* jemalloc's decay curve, inverted: enough steps, and no more than that. */
#include "decay_curve.h"

#include <criterion/criterion.h>

/* The share of pages that jemalloc has purged after `steps` of its 200 steps: its smootherstep
 * curve. */
static double purged_after(unsigned steps)
{
    double x = (double)steps / DECAY_STEPS;
    return 6 * x * x * x * x * x - 15 * x * x * x * x + 10 * x * x * x;
}

/* jemalloc's table and ours are both rounded, each by less than this. */
static const double rounding = 2e-6;

static void assert_fewest(uint64_t part, uint64_t whole)
{
    double share = (double)part / (double)whole;
    unsigned steps = decay_steps_for(part, whole);
    cr_assert_leq(steps, (unsigned)DECAY_STEPS);
    cr_assert_geq(purged_after(steps), share - rounding, "%u steps purge too little of %f", steps,
                  share);
    if (steps > 0)
        cr_assert_lt(purged_after(steps - 1), share + rounding, "%u steps are too many for %f",
                     steps, share);
}

Test(decay_curve, steps_purge_the_share_and_one_less_does_not)
{
    for (uint64_t part = 0; part < 10000; part++)
        assert_fewest(part, 10000);
}

Test(decay_curve, nothing_takes_no_step_and_all_takes_every_step)
{
    cr_expect_eq(decay_steps_for(0, 1), 0u);
    cr_expect_eq(decay_steps_for(0, UINT64_MAX), 0u);
    cr_expect_eq(decay_steps_for(1, 1), (unsigned)DECAY_STEPS);
    cr_expect_eq(decay_steps_for(2, 1), (unsigned)DECAY_STEPS);
    cr_expect_eq(decay_steps_for(UINT64_MAX, UINT64_MAX), (unsigned)DECAY_STEPS);
    cr_expect_eq(decay_steps_for(UINT64_MAX, 1), (unsigned)DECAY_STEPS);
}

Test(decay_curve, half_is_purged_half_way)
{
    cr_expect_eq(decay_steps_for(1, 2), (unsigned)DECAY_STEPS / 2);
}

Test(decay_curve, more_takes_no_fewer_steps)
{
    unsigned before = 0;
    for (uint64_t part = 0; part <= 4096; part++) {
        unsigned steps = decay_steps_for(part, 4096);
        cr_assert_geq(steps, before, "%zu of 4096", (size_t)part);
        before = steps;
    }
}

Test(decay_curve, extreme_numbers_do_not_wrap)
{
    assert_fewest(UINT64_MAX / 2, UINT64_MAX);
    assert_fewest(UINT64_MAX - 1, UINT64_MAX);
    assert_fewest(UINT64_MAX / 1000, UINT64_MAX);
    assert_fewest(1, UINT64_MAX);
    assert_fewest((uint64_t)1 << 62, (uint64_t)1 << 63);
}
