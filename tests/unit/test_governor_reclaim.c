/* When reclaimers are called, what they are asked for, and what happens if they give nothing. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

static struct governor_input pressed(uint64_t usage, uint64_t dirty)
{
    struct governor_input in = input_at(hard, usage, dirty);
    in.reclaimers = 1;
    in.listeners = true;
    return in;
}

/* One pass at in->now_ns, after a look: `asked` bytes were asked for, and `freed` bytes of live
 * memory were freed. */
static void pass(struct governor *g, const struct governor_input *in, uint64_t asked,
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

/* --- passes that give nothing --- */

Test(governor_reclaim, useless_passes_double_the_wait_up_to_30_s)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).critical, 0);
    uint64_t before = 0, longest = 0;
    for (unsigned i = 0; i < 20; i++) {
        cr_assert(look_at(&g, &in).callbacks_due, "pass %u", i);
        pass(&g, &in, 100 * MiB, 0);
        uint64_t began = in.now_ns;
        while (!look_at(&g, &in).callbacks_due)
            in.now_ns += NS_PER_MS;
        uint64_t wait = in.now_ns - began;
        if (i > 0)
            cr_assert(wait == 2 * before || wait == 30 * NS_PER_S, "pass %u: %zu ms", i,
                      (size_t)(wait / NS_PER_MS));
        before = wait;
        longest = u64_max(longest, wait);
    }
    cr_expect_eq(longest, 30 * NS_PER_S);
}

Test(governor_reclaim, pass_that_gives_5_percent_ends_the_wait)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    for (unsigned i = 0; i < 10; i++)
        pass(&g, &in, 100 * MiB, 0);
    cr_assert_not(look_at(&g, &in).callbacks_due);
    pass(&g, &in, 20 * MiB, MiB - 1);
    in.usage -= MiB - 1;
    cr_assert_not(look_at(&g, &in).callbacks_due);
    pass(&g, &in, 100 * MiB, 5 * MiB);
    cr_expect(look_at(&g, &in).callbacks_due);
    pass(&g, &in, 100 * MiB, 0);
    in.now_ns += 50 * NS_PER_MS;
    cr_expect(look_at(&g, &in).callbacks_due, "the wait begins small again");
}

/* As a reclaimer does that frees little at a time. */
Test(governor_reclaim, pass_that_frees_what_is_worth_one_ends_the_wait)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).critical, 0);
    pass(&g, &in, 100 * MiB, 2 * MiB - 1);
    in.usage -= 2 * MiB - 1;
    cr_assert_not(look_at(&g, &in).callbacks_due);
    pass(&g, &in, 100 * MiB, 2 * MiB);
    cr_expect(look_at(&g, &in).callbacks_due);
}

/* The other threads may have freed this by themselves. */
Test(governor_reclaim, slow_one_beside_which_others_freed_is_called_a_tenth_of_the_time)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).critical, 0);
    (void)look_at(&g, &in);
    const struct governor_pass slow = {.now_ns = in.now_ns,
                                       .took_ns = 10 * NS_PER_MS,
                                       .asked = 100 * MiB,
                                       .used_before = in.usage,
                                       .used_after = in.usage - 10 * MiB};
    governor_pass_done(&g, &slow);
    cr_expect_not(look_at(&g, &in).callbacks_due);
    in.now_ns += 90 * NS_PER_MS;
    cr_expect(look_at(&g, &in).callbacks_due);
    cr_expect_not(governor_pass_was_useless(&g), "they may be its doing");
}

/* The reclaimer reports what was freed, and usage shows it. */
Test(governor_reclaim, slow_one_that_has_another_thread_free_is_called_again_at_once)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).critical, 0);
    (void)look_at(&g, &in);
    struct governor_pass by_another = {.now_ns = in.now_ns,
                                       .took_ns = 50 * NS_PER_MS,
                                       .asked = 100 * MiB,
                                       .said = 100 * MiB,
                                       .used_before = in.usage,
                                       .used_after = in.usage - 90 * MiB};
    governor_pass_done(&g, &by_another);
    cr_expect(look_at(&g, &in).callbacks_due);
    by_another.used_after = in.usage;
    governor_pass_done(&g, &by_another);
    cr_expect_not(look_at(&g, &in).callbacks_due, "nothing is seen of it");
}

/* The program may ask for anything, also below the soft limit. */
Test(governor_reclaim, pass_that_only_the_program_wanted_changes_no_wait)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    for (unsigned i = 0; i < 10; i++)
        pass(&g, &in, 100 * MiB, 0);
    uint64_t wait_ns = g.pass.ns;
    pass(&g, &in, 0, 0);
    pass(&g, &in, 0, 10 * MiB);
    in.usage -= 10 * MiB;
    cr_expect_eq(g.pass.ns, wait_ns);
    cr_expect_not(look_at(&g, &in).callbacks_due);
}

Test(governor_reclaim, what_live_bytes_or_usage_lost_counts_as_given)
{
    const struct governor_pass gave[] = {
        {.asked = MiB, .freed = MiB},
        {.asked = MiB, .live_before = 2 * MiB, .live_after = MiB},
        {.asked = MiB, .used_before = 2 * MiB, .used_after = MiB},
    };
    for (size_t i = 0; i < ARRAY_LEN(gave); i++) {
        struct governor g = new_governor();
        struct governor_input in = pressed(hard, 0);
        struct governor_pass p = gave[i];
        p.now_ns = in.now_ns;
        governor_pass_done(&g, &p);
        in.now_ns += 20 * NS_PER_MS;
        cr_expect(look_at(&g, &in).callbacks_due, "pass %zu", i);
    }
}

Test(governor_reclaim, growth_during_a_pass_is_not_a_gift)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    const struct governor_pass p = {
        .now_ns = in.now_ns,
        .asked = MiB,
        .used_before = GiB,
        .used_after = GiB + 50 * MiB,
        .live_before = 500 * MiB,
        .live_after = 550 * MiB,
    };
    (void)look_at(&g, &in);
    governor_pass_done(&g, &p);
    cr_expect_not(look_at(&g, &in).callbacks_due);
}

Test(governor_reclaim, wait_ends_when_usage_falls_below_soft)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).critical, 0);
    for (unsigned i = 0; i < 12; i++)
        pass(&g, &in, 100 * MiB, 0);
    in.now_ns += NS_PER_S;
    cr_assert_not(look_at(&g, &in).callbacks_due);
    struct governor_input below = pressed(hard / 2, 0);
    below.now_ns = in.now_ns;
    (void)look_at(&g, &below);
    (void)governor_meets(&g, &below);
    cr_expect(look_at(&g, &in).callbacks_due);
}

/* Beside readers, reclaimers are asked below the soft limit; usage below it must not end their
 * wait. */
Test(governor_reclaim, who_gives_nothing_is_left_alone_beside_readers_too)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = pressed(l.soft - 4 * MiB, 0);
    in.on_the_way = 8 * MiB;
    unsigned passes = 0;
    for (uint64_t end = in.now_ns + 60 * NS_PER_S; in.now_ns < end; in.now_ns += 100 * NS_PER_MS) {
        bool due = look_at(&g, &in).callbacks_due;
        (void)governor_meets(&g, &in);
        if (!due)
            continue;
        pass(&g, &in, 14 * MiB, 0);
        passes++;
    }
    cr_expect_geq(passes, 2u);
    cr_expect_leq(passes, 15u);
}

/* --- asked again before the wait is over --- */

/* A governor after useless passes at `in` until the wait is 30 s; the last of them ended a second
 * ago. */
static struct governor waiting(struct governor_input *in)
{
    struct governor g = new_governor();
    for (unsigned i = 0; i < 12; i++)
        pass(&g, in, 100 * MiB, 0);
    in->now_ns += NS_PER_S;
    return g;
}

/* How many passes there are as usage grows up to the wall (no room is left), with a look at each
 * MiB. */
static unsigned passes_up_to_the_wall(struct governor *g, struct governor_input *in)
{
    unsigned passes = 0;
    for (; in->usage < hard - 17 * MiB; in->usage = in->committed += MiB) {
        in->now_ns += 20 * NS_PER_MS;
        if (!look_at(g, in).callbacks_due)
            continue;
        pass(g, in, 100 * MiB, 0);
        passes++;
    }
    return passes;
}

Test(governor_reclaim, growth_towards_the_kill_asks_again)
{
    struct governor_input in = pressed(cgroup_limits(hard).soft, 0);
    struct governor g = waiting(&in);
    cr_assert_not(look_at(&g, &in).callbacks_due);
    struct governor_input from = in;
    unsigned passes = passes_up_to_the_wall(&g, &in);
    cr_expect_geq(passes, 8u);
    cr_expect_leq(passes, 30u);
    /* Memory that was freed and comes back is no growth. */
    from.now_ns = in.now_ns;
    cr_expect_eq(passes_up_to_the_wall(&g, &from), 0u);
}

Test(governor_reclaim, threads_wait_for_that_pass_where_the_limit_cannot_be_met)
{
    struct governor_input in = pressed(cgroup_limits(hard).critical, 0);
    struct governor g = waiting(&in);
    g.cannot_meet = true;
    cr_expect_leq(look_at(&g, &in).hold_ns, NS_PER_MS);
    in.usage = in.committed += 50 * MiB;
    cr_expect_geq(look_at(&g, &in).hold_ns, 300 * NS_PER_MS);
    in.in_vain = true;
    cr_expect_leq(look_at(&g, &in).hold_ns, NS_PER_MS);
}

Test(governor_reclaim, request_that_does_not_fit_asks_again_within_half_a_second)
{
    struct governor_input in = pressed(cgroup_limits(hard).soft, 0);
    struct governor g = waiting(&in);
    struct governor_pass for_request = {
        .asked = 100 * MiB, .for_request = true, .used_before = in.usage, .used_after = in.usage};
    uint64_t longest = 0;
    in.request = 10 * MiB;
    cr_expect_not(look_at(&g, &in).callbacks_due, "it fits");
    in.request = 200 * MiB;
    cr_expect_geq(look_at(&g, &in).ask, 200 * MiB);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert(look_at(&g, &in).callbacks_due);
        for_request.now_ns = in.now_ns;
        governor_pass_done(&g, &for_request);
        while (!look_at(&g, &in).callbacks_due)
            in.now_ns += NS_PER_MS;
        cr_assert_geq(in.now_ns - for_request.now_ns, 20 * NS_PER_MS);
        longest = u64_max(longest, in.now_ns - for_request.now_ns);
    }
    cr_expect_eq(longest, 500 * NS_PER_MS);
    g.pass.until_ns = in.now_ns + 30 * NS_PER_S;
    in.request = 2 * hard;
    cr_expect_not(look_at(&g, &in).callbacks_due, "it can never fit");
}

/* A reclaimer may be busy for any length of time: it is asked again as soon as it may be free. */
Test(governor_reclaim, no_room_at_all_asks_again_at_once_but_for_a_tenth_of_the_time)
{
    struct governor_input in = pressed(hard - MiB, 0);
    struct governor g = waiting(&in);
    pass(&g, &in, 100 * MiB, 0);
    cr_expect_not(look_at(&g, &in).callbacks_due);
    in.now_ns += 20 * NS_PER_MS;
    cr_expect(look_at(&g, &in).callbacks_due);
    in.swap_room = hard;
    cr_expect_not(look_at(&g, &in).callbacks_due, "nothing is killed then");
    in.swap_room = 0;
    in.from_watcher = true;
    cr_expect_not(look_at(&g, &in).callbacks_due, "nobody wants any");
    in.held = 1;
    cr_expect(look_at(&g, &in).callbacks_due);
    in.held = 0;
    in.usage++;
    cr_expect(look_at(&g, &in).callbacks_due, "somebody else has taken some");
    in.from_watcher = false;
    const struct governor_pass slow = {.now_ns = in.now_ns,
                                       .took_ns = 30 * NS_PER_MS,
                                       .asked = MiB,
                                       .used_before = in.usage,
                                       .used_after = in.usage};
    governor_pass_done(&g, &slow);
    in.now_ns += 200 * NS_PER_MS;
    cr_expect_not(look_at(&g, &in).callbacks_due);
    in.now_ns += 70 * NS_PER_MS;
    cr_expect(look_at(&g, &in).callbacks_due);
}

/* Two cgroups bind in turn, the inner one with the smaller limit: neither counts as a new limit. */
Test(governor_reclaim, another_level_that_binds_asks_no_sooner)
{
    struct governor_input in = pressed(cgroup_limits(hard).soft, 0);
    struct governor g = waiting(&in);
    struct governor_input outer = pressed(2 * hard - (hard - in.usage), 0);
    outer.limits = cgroup_limits(2 * hard);
    outer.now_ns = in.now_ns;
    for (unsigned i = 0; i < 4; i++) {
        cr_expect_not(look_at(&g, &outer).callbacks_due);
        cr_expect_not(look_at(&g, &in).callbacks_due);
    }
}

Test(governor_reclaim, another_limit_asks_again)
{
    struct governor_input in = pressed(cgroup_limits(hard).soft, 0);
    struct governor g = waiting(&in);
    cr_assert_not(look_at(&g, &in).callbacks_due);
    in.limits = cgroup_limits(hard - hard / 16);
    cr_expect(look_at(&g, &in).callbacks_due);
    cr_expect(look_at(&g, &in).callbacks_due, "until there is a pass");
    pass(&g, &in, 100 * MiB, 0);
    cr_expect_not(look_at(&g, &in).callbacks_due);
}

/* --- "cannot meet the limit" --- */

static enum governor_meets watch(struct governor *g, const struct governor_input *in)
{
    (void)look_at(g, in);
    return governor_meets(g, in);
}

/* Watches for `ns`; returns how often `what` was said. */
static unsigned watch_for(struct governor *g, struct governor_input *in, uint64_t ns,
                          enum governor_meets what)
{
    unsigned said = 0;
    for (uint64_t end = in->now_ns + ns; in->now_ns < end; in->now_ns += 20 * NS_PER_MS)
        said += watch(g, in) == what;
    return said;
}

Test(governor_reclaim, cannot_meet_is_said_once_after_10_s)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).soft, 0);
    cr_expect_eq(watch_for(&g, &in, 10 * NS_PER_S, GOVERNOR_CANNOT), 0u);
    cr_expect_eq(watch_for(&g, &in, NS_PER_S, GOVERNOR_CANNOT), 1u);
    cr_expect_eq(watch_for(&g, &in, 3600 * NS_PER_S, GOVERNOR_CANNOT), 0u);
    cr_expect(g.cannot_meet);
}

Test(governor_reclaim, it_ends_below_soft_and_begins_anew)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    (void)watch_for(&g, &in, 11 * NS_PER_S, GOVERNOR_CANNOT);
    cr_assert(g.cannot_meet);
    in.usage = cgroup_limits(hard).soft - 1;
    cr_expect_eq(watch(&g, &in), GOVERNOR_CAN_AGAIN);
    cr_expect_eq(watch(&g, &in), GOVERNOR_SAME);
    in.usage = hard;
    cr_expect_eq(watch_for(&g, &in, 10 * NS_PER_S, GOVERNOR_CANNOT), 0u);
    cr_expect_eq(watch_for(&g, &in, NS_PER_S, GOVERNOR_CANNOT), 1u);
}

Test(governor_reclaim, it_ends_when_the_limit_goes)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    (void)watch_for(&g, &in, 11 * NS_PER_S, GOVERNOR_CANNOT);
    in.limits = cgroup_limits(UNLIMITED);
    cr_expect_eq(watch(&g, &in), GOVERNOR_CAN_AGAIN);
}

Test(governor_reclaim, it_is_not_said_while_reclaiming_gives)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    for (unsigned i = 0; i < 60; i++) {
        cr_expect_eq(watch_for(&g, &in, NS_PER_S, GOVERNOR_CANNOT), 0u);
        pass(&g, &in, 100 * MiB, 50 * MiB);
    }
}

Test(governor_reclaim, it_is_not_said_while_free_pages_are_left)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 100 * MiB);
    cr_expect_eq(watch_for(&g, &in, 60 * NS_PER_S, GOVERNOR_CANNOT), 0u);
}

Test(governor_reclaim, watcher_slows_down_where_the_limit_cannot_be_met)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    uint64_t eager = look_at(&g, &in).watch_after_ns;
    (void)watch_for(&g, &in, 11 * NS_PER_S, GOVERNOR_CANNOT);
    cr_expect_gt(look_at(&g, &in).watch_after_ns, eager);
}
