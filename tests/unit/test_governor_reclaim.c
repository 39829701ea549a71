/* When reclaimers are called, and what they are asked for. */
#include "governor_pressed.h"

#include <criterion/criterion.h>

/* --- due --- */

Test(governor_reclaim, reclaimers_are_due_from_the_soft_limit)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = pressed(l.soft - 1, 0);
    cr_expect_not(look_at(&g, &in).callbacks_due);
    in.usage = l.soft;
    cr_expect(look_at(&g, &in).callbacks_due);
    in.reclaimers = 0;
    cr_expect_not(look_at(&g, &in).callbacks_due, "there are none");
    in.reclaimers = 1;
    in.usage = l.soft - 1;
    in.request = MiB;
    cr_expect(look_at(&g, &in).callbacks_due, "the request counts");
}

/* Usage is below critical, and nearly all of it belongs to other processes. */
Test(governor_reclaim,
     reclaimers_are_not_due_nor_waited_for_where_the_own_share_is_not_worth_a_pass)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = pressed(l.soft + 10 * MiB, 0);
    in.committed = in.active = 20 * MiB;
    cr_expect_not(look_at(&g, &in).callbacks_due);
    cr_expect_eq(governor_target(&g, &in, 20 * MiB), 0u);
    in.committed = in.active = 400 * MiB;
    cr_expect(look_at(&g, &in).callbacks_due);
    cr_expect_gt(governor_target(&g, &in, 400 * MiB), 0u);
}

Test(governor_reclaim, others_must_free_only_what_purging_cannot_give)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, hard - MiB, hard - MiB - l.soft + 1);
    cr_expect_not(look_at(&g, &in).wanting);
    in.dirty -= 1;
    cr_expect(look_at(&g, &in).wanting, "whether or not there are reclaimers");
}

Test(governor_reclaim, what_purging_can_give_is_not_asked_of_reclaimers)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = pressed(hard - MiB, hard - MiB - l.soft + 1);
    cr_expect_not(look_at(&g, &in).callbacks_due);
    cr_expect_eq(governor_target(&g, &in, l.soft - 1), 0u);
    in.dirty -= 50 * MiB;
    cr_expect(look_at(&g, &in).callbacks_due);
    uint64_t target = governor_target(&g, &in, l.soft + 50 * MiB);
    cr_expect_geq(target, 50 * MiB - 1);
    cr_expect_leq(target, 50 * MiB + of_percent(hard, 10));
}

/* --- the target --- */

Test(governor_reclaim, target_leads_one_point_below_soft)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    for (uint64_t over = 0; over <= hard; over += MiB) {
        struct governor_input in = pressed(l.soft + over, 0);
        cr_assert_eq(governor_target(&g, &in, in.usage), over + of_percent(hard, 10));
    }
    struct governor_input below = pressed(l.soft - 1, 0);
    cr_expect_eq(governor_target(&g, &below, below.usage), 0u);
    below.limits = cgroup_limits(UNLIMITED);
    cr_expect_eq(governor_target(&g, &below, below.usage), 0u);
}

Test(governor_reclaim, target_is_the_own_share_of_a_group)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    for (unsigned siblings = 2; siblings <= 8; siblings++) {
        struct governor_input in = pressed(l.critical, 0);
        uint64_t all = l.critical - l.soft + of_percent(hard, 10);
        in.committed = in.usage / siblings;
        uint64_t target = governor_target(&g, &in, in.committed);
        cr_expect_geq(target * siblings, all - siblings, "together enough: %u", siblings);
        cr_expect_leq(target, 2 * all / siblings, "none more than twice its share: %u", siblings);
    }
}

Test(governor_reclaim, holes_that_a_pass_left_serve_first)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    uint64_t over = 20 * MiB, asked = over + of_percent(hard, 10);
    struct governor_input in = pressed(l.soft + over, 0);
    uint64_t live = in.usage - 50 * MiB;
    cr_assert_eq(governor_target(&g, &in, live), asked);
    /* All that was asked for is freed, but in slabs that stay half full: the usage stays. */
    const struct governor_pass p = {
        .now_ns = in.now_ns,
        .asked = asked,
        .freed = asked,
        .used_before = in.usage,
        .used_after = in.usage,
        .live_before = live,
        .live_after = live - asked,
    };
    governor_pass_done(&g, &p);
    cr_expect_eq(governor_target(&g, &in, live - asked), 0u);
    /* Nothing has filled the holes: other threads' frees may have left them, and then they stay. */
    in.now_ns += 3 * NS_PER_S;
    cr_expect_eq(governor_target(&g, &in, live - asked), asked);
    in.now_ns -= 3 * NS_PER_S;
    /* The holes are filled again: they no longer count. */
    cr_expect_eq(governor_target(&g, &in, live), asked);
    /* Near the hard limit holes do not count either. */
    in.usage = l.critical;
    cr_expect_geq(governor_target(&g, &in, in.usage - 50 * MiB - asked), l.critical - l.soft);
}

Test(governor_reclaim, target_too_small_to_matter_is_not_asked)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = pressed(l.soft, 0);
    in.committed = MiB; /* a small process in a large group */
    cr_expect_eq(governor_target(&g, &in, MiB), 0u);
}

Test(governor_reclaim, extreme_numbers_do_not_wrap)
{
    const uint64_t extremes[] = {0, 1, GiB, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
    const size_t n = ARRAY_LEN(extremes);
    for (size_t i = 0; i < n * n * n; i++) {
        struct governor g = new_governor();
        struct governor_input in = pressed(extremes[i % n], extremes[i / n % n]);
        in.request = extremes[i / n / n];
        uint64_t needed = u64_less(in.usage, in.dirty);
        bool over = needed >= in.limits.soft; /* no request fits that is not small */
        cr_assert_eq(governor_target(&g, &in, 0) > 0, over, "usage %zx dirty %zx request %zx",
                     in.usage, in.dirty, in.request);
    }
}
