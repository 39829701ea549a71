/* How many bytes may be committed before the next look, and while a look is made. */
#include "governor_decide.h"

#include <criterion/criterion.h>

/* The usage that can be reached before the next look is due. */
static uint64_t next_usage(uint64_t usage, uint64_t request)
{
    return usage + decide(usage, 0, request).look_after;
}

Test(governor_looks, no_line_is_crossed_unseen)
{
    const struct limits l = cgroup_limits(hard);
    const uint64_t lines[] = {l.low, l.soft, l.critical};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        for (uint64_t usage = 0; usage < lines[i]; usage += 511 * KiB)
            cr_assert_leq(next_usage(usage, 0), lines[i] + MiB, "line %zu from %zu KiB", i,
                          (size_t)(usage / KiB));
}

Test(governor_looks, lines_far_apart_are_not_crossed_unseen_either)
{
    struct options o = default_options();
    o.wish.value = 40 * 1000; /* percent: leaves a wide stretch up to the hard limit */
    const struct limits l = limits_from_hard(LIMITS_CGROUP, 64 * GiB, &o.wish);
    const uint64_t lines[] = {l.low, l.soft, l.critical};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        for (uint64_t usage = 0; usage < lines[i]; usage += 37 * MiB) {
            struct governor g = new_governor();
            struct governor_input in = {
                .now_ns = START_NS, .limits = l, .usage = usage, .committed = usage};
            cr_assert_leq(usage + look_at(&g, &in).look_after, lines[i] + MiB,
                          "line %zu from %zu MiB", i, (size_t)(usage / MiB));
        }
}

Test(governor_looks, step_is_at_most_an_eighth_of_the_room_and_clamped)
{
    const uint64_t hards[] = {32 * MiB, 256 * MiB, GiB, 64 * GiB, 4096 * GiB};
    for (size_t i = 0; i < ARRAY_LEN(hards); i++)
        for (unsigned tenths = 0; tenths <= 1100; tenths++) {
            uint64_t usage = of_percent(hards[i], tenths);
            struct governor g = new_governor();
            struct governor_input in = input_at(hards[i], usage, 0);
            uint64_t step = look_at(&g, &in).look_after;
            cr_assert_leq(step, 64 * MiB);
            cr_assert_geq(step, 128 * KiB);
            cr_assert_leq(step, u64_max(u64_less(hards[i], usage) / 8, MiB));
        }
}

Test(governor_looks, purging_now_makes_the_next_look_later)
{
    const struct limits l = cgroup_limits(hard);
    uint64_t with = decide(l.critical, 500 * MiB, 0).look_after;
    uint64_t without = decide(l.critical, 0, 0).look_after;
    cr_expect_gt(with, without);
}

Test(governor_looks, small_heap_looks_as_it_grows)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(64 * GiB, 0, 0);
    in.committed = 2 * MiB;
    cr_expect_leq(look_at(&g, &in).look_after, 4 * MiB);
    in.committed = 40 * MiB;
    cr_expect_leq(look_at(&g, &in).look_after, 10 * MiB);
}

Test(governor_looks, what_was_requested_does_not_use_up_the_step)
{
    uint64_t plain = decide(100 * MiB, 0, 0).look_after;
    uint64_t more = decide(100 * MiB, 0, 200 * MiB).look_after;
    cr_expect_gt(more, 200 * MiB);
    cr_expect_leq(more, 200 * MiB + plain);
}

Test(governor_looks, request_larger_than_the_room_does_not_put_off_the_next_look)
{
    const uint64_t requests[] = {hard - MiB, hard,           10 * hard,
                                 INT64_MAX,  UINT64_MAX / 2, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct governor_decision d = decide(500 * MiB, 0, requests[i]);
        cr_expect(d.no_room, "request %zu", i);
        cr_expect_leq(d.look_after, hard - 500 * MiB,
                      "request %zu: it may fail, and then nothing "
                      "has been committed",
                      i);
    }
}

/* --- while a look is made --- */

Test(governor_looks, a_look_lets_others_on_by_half_of_the_room_before_the_wall)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(300 * MiB, 280 * MiB, 0);
    uint64_t far = governor_meanwhile(&in);
    cr_expect_gt(far, 5 * MiB);
    cr_expect_lt(far, 8 * MiB);
    while (!look_at(&g, &in).no_room)
        in.usage = in.committed = in.usage + MiB / 4;
    cr_expect_lt(in.usage, in.limits.hard - MiB);
    cr_expect_eq(governor_meanwhile(&in), 0u);
    in.limits = (struct limits){.source = LIMITS_NONE};
    cr_expect_gt(governor_meanwhile(&in), 1024 * MiB);
}

/* A thread may lose the CPU in the middle of a look, and go on with the old limit. */
Test(governor_looks, step_and_what_others_may_take_in_a_look_stay_within_a_tenth_of_the_heap)
{
    for (uint64_t used = 40 * MiB; used < 20 * GiB; used += used / 3) {
        struct governor g = new_governor();
        struct governor_input in = input_at(64 * GiB, used, 0);
        uint64_t step = look_at(&g, &in).look_after;
        cr_expect_leq(step + governor_meanwhile(&in), used / 10, "%llu MiB",
                      (unsigned long long)(used / MiB));
    }
}

Test(governor_looks, room_at_another_level_bounds_the_step_and_what_goes_on_meanwhile)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(16 * GiB, 12 * GiB, 0);
    in.committed = in.active = GiB;
    uint64_t step = look_at(&g, &in).look_after, meanwhile = governor_meanwhile(&in);
    in.nearer = 4 * GiB - 80 * MiB;
    cr_expect_eq(look_at(&g, &in).look_after, 10 * MiB, "an eighth of it");
    cr_expect_gt(step, 10 * MiB);
    in.nearer = 4 * GiB - 20 * MiB;
    cr_expect_lt(governor_meanwhile(&in), meanwhile);
}
