/* When "cannot meet the limit" is said, and when it is over. */
#include "governor_pressed.h"

#include <criterion/criterion.h>

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

Test(governor_cannot_meet, cannot_meet_is_said_once_after_10_s)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).soft, 0);
    cr_expect_eq(watch_for(&g, &in, 10 * NS_PER_S, GOVERNOR_CANNOT), 0u);
    cr_expect_eq(watch_for(&g, &in, NS_PER_S, GOVERNOR_CANNOT), 1u);
    cr_expect_eq(watch_for(&g, &in, 3600 * NS_PER_S, GOVERNOR_CANNOT), 0u);
    cr_expect(g.cannot_meet);
}

Test(governor_cannot_meet, it_ends_below_soft_and_begins_anew)
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

Test(governor_cannot_meet, it_ends_when_the_limit_goes)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    (void)watch_for(&g, &in, 11 * NS_PER_S, GOVERNOR_CANNOT);
    in.limits = cgroup_limits(UNLIMITED);
    cr_expect_eq(watch(&g, &in), GOVERNOR_CAN_AGAIN);
}

Test(governor_cannot_meet, it_is_not_said_while_reclaiming_gives)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    for (unsigned i = 0; i < 60; i++) {
        cr_expect_eq(watch_for(&g, &in, NS_PER_S, GOVERNOR_CANNOT), 0u);
        pass(&g, &in, 100 * MiB, 50 * MiB);
    }
}

Test(governor_cannot_meet, it_is_not_said_while_free_pages_are_left)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 100 * MiB);
    cr_expect_eq(watch_for(&g, &in, 60 * NS_PER_S, GOVERNOR_CANNOT), 0u);
}

Test(governor_cannot_meet, watcher_slows_down_where_the_limit_cannot_be_met)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    uint64_t eager = look_at(&g, &in).watch_after_ns;
    (void)watch_for(&g, &in, 11 * NS_PER_S, GOVERNOR_CANNOT);
    cr_expect_gt(look_at(&g, &in).watch_after_ns, eager);
}
