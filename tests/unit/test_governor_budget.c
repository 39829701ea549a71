/* The cap on the CPU time of purging. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

Test(governor_budget, spent_budget_stops_purging_below_critical_only)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = rested_at(&g, hard, l.soft, 200 * MiB);
    cr_assert_gt(look_at(&g, &in).purge, 0u);
    governor_spend(&g, NS_PER_S);
    cr_expect_eq(look_at(&g, &in).purge, 0u);
    in.usage = in.committed = l.critical - 1;
    cr_expect_eq(look_at(&g, &in).purge, 0u);
    in.usage = in.committed = l.critical;
    cr_expect_gt(look_at(&g, &in).purge, 0u, "never capped where a kill is near");
    in.usage = hard;
    cr_expect_eq(look_at(&g, &in).purge, UINT64_MAX);
    in.usage = in.committed = l.soft;
    in.request = l.critical - l.soft;
    cr_expect_gt(look_at(&g, &in).purge, 0u, "nor where a request leads there");
}

Test(governor_budget, nor_where_pages_touched_late_may_pass_the_limit_before_the_next_look)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, 0, 0);
    let_rest(&g, &in);
    governor_spend(&g, NS_PER_S);
    in.usage = l.low;
    in.dirty = 200 * MiB;
    in.committed = l.critical - 1;
    cr_expect_eq(look_at(&g, &in).purge, 0u);
    in.committed = l.critical + MiB;
    cr_expect_eq(look_at(&g, &in).purge, in.committed - l.soft);
    in.committed = hard + 10 * MiB;
    cr_expect_eq(look_at(&g, &in).purge, 64 * MiB, "no more at once");
    in.usage = l.low - 1; /* the watcher will see it */
    cr_expect_eq(look_at(&g, &in).purge, 0u);
    in.usage = l.critical;
    cr_expect_eq(look_at(&g, &in).purge, 64 * MiB);
}

Test(governor_budget, small_limits_are_passed_unseen_from_farther_away)
{
    const uint64_t small = 200 * MiB;
    struct governor g = new_governor();
    struct governor_input in = input_at(small, small / 2 - 1, 100 * MiB);
    in.committed = small;
    governor_spend(&g, NS_PER_S);
    cr_expect_eq(look_at(&g, &in).purge, 0u);
    in.usage = small / 2;
    cr_expect_eq(look_at(&g, &in).purge, in.committed - in.limits.soft);
}

Test(governor_budget, budget_is_overdrawn_to_stay_close_to_the_soft_limit_for_a_while)
{
    const struct limits l = cgroup_limits(hard);
    const uint64_t line = l.soft + (l.critical - l.soft) / 4;
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, 0, 0);
    let_rest(&g, &in);
    governor_spend(&g, 100 * NS_PER_MS); /* two seconds' share */
    in.dirty = 200 * MiB;
    in.usage = in.committed = line - 1;
    cr_expect_eq(look_at(&g, &in).purge, 0u);
    in.usage = in.committed = line;
    cr_expect_eq(look_at(&g, &in).purge, line - l.soft, "and no further back");
    governor_spend(&g, 200 * NS_PER_MS - 1);
    cr_expect_gt(look_at(&g, &in).purge, 0u);
    governor_spend(&g, 1);
    cr_expect_eq(look_at(&g, &in).purge, 0u);
    in.usage = in.committed = l.critical;
    cr_expect_gt(look_at(&g, &in).purge, 0u);
}

/* Growth that never ends, at the line from which the budget is overdrawn. */
Test(governor_budget, any_half_minute_keeps_to_the_cap)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = rested_at(&g, hard, l.soft + (l.critical - l.soft) / 4, 200 * MiB);
    uint64_t spent = 0;
    for (int tick = 0; tick < 30 * 100; tick++) {
        if (look_at(&g, &in).purge > 0) {
            governor_spend(&g, 5 * NS_PER_MS);
            spent += 5 * NS_PER_MS;
        }
        in.now_ns += 10 * NS_PER_MS;
    }
    cr_expect_leq(spent, 1505 * NS_PER_MS, "%lu ms", spent / NS_PER_MS);
    cr_expect_geq(spent, 1490 * NS_PER_MS, "%lu ms", spent / NS_PER_MS);
}

Test(governor_budget, budget_refills_at_four_fifths_of_the_rate_of_the_option)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = rested_at(&g, hard, l.soft, 200 * MiB);
    (void)look_at(&g, &in); /* the budget is full: that of two seconds, 100 ms */
    governor_spend(&g, 100 * NS_PER_MS + 40 * NS_PER_MS);
    in.now_ns += 990 * NS_PER_MS; /* pays 39.6 ms of the 40 owed */
    cr_expect_eq(look_at(&g, &in).purge, 0u);
    in.now_ns += 20 * NS_PER_MS;
    cr_expect_gt(look_at(&g, &in).purge, 0u);
}

Test(governor_budget, rest_saves_up_two_seconds_of_budget_at_most)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, l.soft, 200 * MiB);
    in.now_ns += 3600 * NS_PER_S;
    (void)look_at(&g, &in);
    governor_spend(&g, 100 * NS_PER_MS);
    cr_expect_eq(look_at(&g, &in).purge, 0u);
}

Test(governor_budget, one_vast_expense_is_forgiven_after_a_while)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, l.soft, 200 * MiB);
    governor_spend(&g, UINT64_MAX);
    for (unsigned i = 0; i < 26; i++) { /* 60 s of CPU time at 4 % take 25 minutes */
        in.now_ns += 60 * NS_PER_S;
        (void)look_at(&g, &in);
    }
    cr_expect_gt(look_at(&g, &in).purge, 0u);
}
