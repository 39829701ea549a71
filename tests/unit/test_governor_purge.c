/* How much a look purges, for a process that is alone in its cgroup. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

static uint64_t purge_at(uint64_t usage, uint64_t dirty, uint64_t request)
{
    struct governor g = new_governor();
    struct governor_input in = rested_at(&g, hard, usage, dirty);
    in.request = request;
    return look_at(&g, &in).purge;
}

Test(governor_purge, nothing_is_purged_below_low)
{
    const struct limits l = cgroup_limits(hard);
    cr_expect_eq(purge_at(0, 0, 0), 0u);
    cr_expect_eq(purge_at(l.low - 1, l.low - 1, 0), 0u);
    cr_expect_eq(purge_at(l.low - 2, GiB, 1), 0u);
    cr_expect_gt(purge_at(l.low - 1, 100 * MiB, 1), 0u, "the request counts");
}

Test(governor_purge, purge_leads_just_below_low_and_no_further)
{
    const struct limits l = cgroup_limits(hard);
    for (uint64_t usage = l.low; usage < l.critical; usage += 3 * MiB) {
        uint64_t purge = purge_at(usage, hard, 0);
        cr_assert_geq(purge, usage - l.low, "at %zu MiB", (size_t)(usage / MiB));
        cr_assert_leq(purge, usage - l.low + of_percent(hard, 20), "at %zu MiB",
                      (size_t)(usage / MiB));
    }
}

Test(governor_purge, near_the_hard_limit_as_much_as_leads_below_soft_and_at_the_wall_all)
{
    const struct limits l = cgroup_limits(hard);
    uint64_t last = hard - 17 * MiB;
    cr_expect_eq(purge_at(l.critical, hard, 0), l.critical - l.soft);
    cr_expect_eq(purge_at(last, hard, 0), last - l.soft);
    cr_expect_eq(purge_at(hard - 16 * MiB, hard, 0), UINT64_MAX);
    cr_expect_eq(purge_at(hard, hard, 0), UINT64_MAX);
    cr_expect_eq(purge_at(3 * hard, hard, 0), UINT64_MAX, "a limit lowered below the usage");
    cr_expect_eq(purge_at(MiB, hard, hard - MiB), UINT64_MAX, "a request larger than the room");
}

Test(governor_purge, few_free_pages_are_not_worth_a_purge)
{
    const struct limits l = cgroup_limits(hard);
    cr_expect_eq(purge_at(l.soft, 4 * MiB - 1, 0), 0u);
    cr_expect_gt(purge_at(l.soft, 4 * MiB, 0), 0u);
    cr_expect_gt(purge_at(l.critical, 64 * KiB, 0), 0u, "where a kill is near they are");
    cr_expect_eq(purge_at(l.critical, 64 * KiB - 1, 0), 0u);
}

Test(governor_purge, nothing_is_given_up_for_a_request_that_no_purge_can_make_possible)
{
    cr_expect_eq(purge_at(MiB, hard, hard), 0u);
    cr_expect_eq(purge_at(MiB, hard, UINT64_MAX), 0u);
}

Test(governor_purge, large_limits_are_purged_for_bit_by_bit)
{
    const struct limits l = cgroup_limits(16 * GiB);
    struct governor g = new_governor();
    struct governor_input in = input_at(16 * GiB, l.low, 2 * GiB);
    in.now_ns += 60 * NS_PER_S;
    cr_expect_eq(look_at(&g, &in).purge, 16 * MiB);
    in.usage = in.committed = l.critical;
    cr_expect_eq(look_at(&g, &in).purge, 64 * MiB);
    in.request = 100 * MiB;
    cr_expect_eq(look_at(&g, &in).purge, 164 * MiB, "the request must fit");
}

/* --- free pages of an idle heap --- */

/* What a look decides after the heap has not changed for `ns`. */
static struct governor_decision idle_for(uint64_t ns, uint64_t usage, uint64_t dirty, bool watcher)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, usage, dirty);
    in.active = usage - dirty;
    in.from_watcher = watcher;
    (void)look_at(&g, &in);
    in.now_ns += ns;
    return look_at(&g, &in);
}

Test(governor_purge, idle_heap_gives_its_free_pages_back_the_sooner_the_less_room_there_is)
{
    cr_expect_eq(idle_for(9 * NS_PER_S, hard / 4, 50 * MiB, true).purge, 0u);
    cr_expect_eq(idle_for(11 * NS_PER_S, hard / 4, 50 * MiB, true).purge, UINT64_MAX);
    cr_expect_eq(idle_for(100 * NS_PER_MS, hard / 2, 50 * MiB, true).purge, 0u);
    cr_expect_eq(idle_for(200 * NS_PER_MS, hard / 2, 50 * MiB, true).purge, UINT64_MAX);
    cr_expect_eq(idle_for(3600 * NS_PER_S, hard / 2, MiB, true).purge, 0u, "hardly any");
    cr_expect_eq(idle_for(3600 * NS_PER_S, hard / 2, 50 * MiB, false).purge, 0u,
                 "whoever allocates is not idle");
}

Test(governor_purge, heap_that_changes_is_not_idle)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, hard / 2, 50 * MiB);
    in.from_watcher = true;
    for (unsigned i = 0; i < 1000; i++) {
        in.now_ns += 100 * NS_PER_MS;
        in.active = 100 * MiB + i % 2;
        cr_assert_eq(look_at(&g, &in).purge, 0u);
    }
}
