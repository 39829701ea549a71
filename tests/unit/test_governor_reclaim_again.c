/* What asks reclaimers again before the wait after useless passes is over. */
#include "governor_pressed.h"

#include <criterion/criterion.h>

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

Test(governor_reclaim_again, growth_towards_the_kill_asks_again)
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

Test(governor_reclaim_again, threads_wait_for_that_pass_where_the_limit_cannot_be_met)
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

Test(governor_reclaim_again, request_that_does_not_fit_asks_again_within_half_a_second)
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
Test(governor_reclaim_again, no_room_at_all_asks_again_at_once_but_for_a_tenth_of_the_time)
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
    in.now_ns += 480 * NS_PER_MS;
    cr_expect(look_at(&g, &in).callbacks_due, "but they may be able to give by now");
    in.now_ns -= 480 * NS_PER_MS;
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
Test(governor_reclaim_again, another_level_that_binds_asks_no_sooner)
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

Test(governor_reclaim_again, another_limit_asks_again)
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
