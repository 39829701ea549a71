/* Free pages that the kernel does not take back: they count as used, and are tried again now and
 * then. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

/* Half of the heap is free. */
static struct governor_input at_the_limit(uint64_t usage)
{
    struct governor_input in = input_at(hard, usage, usage / 2);
    in.active = usage - in.dirty;
    return in;
}

/* Reports what a purge at in->now_ns gave. */
static void purged(struct governor *g, struct governor_input *in, uint64_t wanted, uint64_t given,
                   uint64_t refused)
{
    const struct governor_purged p = {
        .now_ns = in->now_ns,
        .wanted = u64_min(wanted, in->dirty),
        .given = given,
        .dirty_left = in->dirty - given,
        .refused = refused,
    };
    governor_purge_done(g, &p);
    in->dirty -= given;
    in->usage -= given;
    in->committed -= given;
    in->stuck = governor_stuck(g, in->dirty);
}

Test(governor_stuck, refused_pages_are_not_given_back_by_the_next_purge)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = at_the_limit(hard - MiB);
    struct governor_decision d = look_at(&g, &in);
    cr_assert_eq(d.purge, UINT64_MAX);
    cr_expect_not(d.no_room, "as long as a purge may give");
    cr_expect_not(d.wanting);
    purged(&g, &in, d.purge, 0, in.dirty);
    cr_expect_eq(in.stuck, in.dirty);
    d = look_at(&g, &in);
    cr_expect(d.no_room && d.wanting && d.hold_ns > 0);
    cr_expect_eq(d.purge, 0u, "it would give nothing");
    in.reclaimers = 1;
    cr_expect(look_at(&g, &in).callbacks_due);
    cr_expect_geq(governor_target(&g, &in, in.active), in.usage - l.soft);
}

Test(governor_stuck, what_is_not_refused_is_purged_all_the_same)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = at_the_limit(l.critical);
    purged(&g, &in, UINT64_MAX, in.dirty - 100 * MiB, 100 * MiB);
    cr_expect_eq(in.stuck, 100 * MiB);
    in.usage = in.committed = l.critical;
    in.dirty = 300 * MiB;
    struct governor_decision d = look_at(&g, &in);
    cr_expect_not(d.wanting, "200 MiB can be had");
    cr_expect_gt(d.purge, 0u);
}

Test(governor_stuck, the_limit_cannot_be_met_then)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = at_the_limit(l.critical);
    purged(&g, &in, UINT64_MAX, 0, in.dirty);
    cr_expect_eq(governor_meets(&g, &in), GOVERNOR_SAME);
    for (unsigned s = 0; s < 9; s++) {
        in.now_ns += NS_PER_S;
        purged(&g, &in, look_at(&g, &in).purge, 0, in.dirty);
        cr_expect_eq(governor_meets(&g, &in), GOVERNOR_SAME);
    }
    in.now_ns += NS_PER_S;
    cr_expect_eq(governor_meets(&g, &in), GOVERNOR_CANNOT);
}

Test(governor_stuck, they_are_tried_for_once_a_second_and_found_again)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = at_the_limit(l.critical);
    unsigned tries = 0;
    purged(&g, &in, UINT64_MAX, 0, in.dirty);
    for (unsigned ms = 0; ms < 5000; ms += 10) {
        in.now_ns += 10 * NS_PER_MS;
        struct governor_decision d = look_at(&g, &in);
        cr_assert(d.wanting, "%u ms", ms);
        if (d.purge == 0)
            continue;
        tries++;
        purged(&g, &in, d.purge, 0, in.dirty);
    }
    cr_expect_geq(tries, 4u);
    cr_expect_leq(tries, 5u);
    in.now_ns += NS_PER_S;
    purged(&g, &in, UINT64_MAX, in.dirty / 2, GiB);
    cr_expect_eq(in.stuck, in.dirty, "half of them could be had");
    in.now_ns += NS_PER_S;
    purged(&g, &in, UINT64_MAX, in.dirty - MiB / 4, GiB);
    cr_expect_eq(in.stuck, 0u);
    in.dirty = hard / 4;
    cr_expect_eq(governor_stuck(&g, in.dirty), 0u);
}

Test(governor_stuck, what_others_reuse_or_give_back_meanwhile_is_not)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = at_the_limit(l.critical);
    for (unsigned ms = 0; ms < 1000; ms += 10) {
        struct governor_input now = in;
        now.now_ns += ms * NS_PER_MS;
        purged(&g, &now, UINT64_MAX, now.dirty / 2, 0);
        cr_assert_eq(now.stuck, 0u, "%u ms", ms);
    }
    for (unsigned s = 10; s < 100; s += 10) {
        struct governor_input now = in;
        now.now_ns += s * NS_PER_S;
        purged(&g, &now, UINT64_MAX, 0, 0);
        cr_assert_eq(now.stuck, 0u, "once, and long after once more: %u s", s);
    }
}

Test(governor_stuck, nothing_time_and_again_is)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = at_the_limit(l.critical);
    purged(&g, &in, UINT64_MAX, 0, 0);
    cr_expect_eq(in.stuck, 0u, "another thread may be at it");
    in.now_ns += 200 * NS_PER_MS;
    purged(&g, &in, UINT64_MAX, 0, 0);
    cr_expect_eq(in.stuck, in.dirty);
    in.now_ns += NS_PER_S;
    purged(&g, &in, UINT64_MAX, in.dirty, 0);
    cr_expect_eq(governor_stuck(&g, hard), 0u);
}
