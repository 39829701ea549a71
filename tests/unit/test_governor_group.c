/* How much one of several processes in a cgroup purges, and what it keeps for itself. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

/* The inputs of one of eight processes that are alike. */
static struct governor_input one_of_a_group(uint64_t usage, uint64_t dirty)
{
    struct governor_input in = input_at(hard, usage, dirty);
    in.committed = usage / 8;
    return in;
}

static uint64_t group_purge(uint64_t usage, uint64_t dirty)
{
    struct governor g = new_governor();
    struct governor_input in = one_of_a_group(0, 0);
    let_rest(&g, &in);
    in = one_of_a_group(usage, dirty);
    in.now_ns += 60 * NS_PER_S;
    return look_at(&g, &in).purge;
}

Test(governor_group, from_where_purging_starts_nothing_is_kept_from_others_of_a_group)
{
    const struct limits l = cgroup_limits(hard);
    for (uint64_t usage = l.low; usage < l.critical; usage += 8 * MiB)
        cr_assert_geq(group_purge(usage, 50 * MiB), 50 * MiB, "%zu MiB", (size_t)(usage / MiB));
    cr_expect_eq(group_purge(l.low, 3 * MiB), 0, "not worth the calls");
}

Test(governor_group, below_that_its_part_of_the_room_is_kept)
{
    const struct limits l = cgroup_limits(hard);
    cr_expect_eq(group_purge(hard / 2 - MiB, 50 * MiB), 0, "there is room for all");
    for (uint64_t usage = hard / 2; usage < l.low; usage += 8 * MiB) {
        uint64_t left = 60 * MiB - u64_min(group_purge(usage, 60 * MiB), 60 * MiB);
        cr_assert_geq(left, (l.low - usage) / 8);
        cr_assert_leq(left, (l.low - usage) / 4 + 4 * MiB, "and no more");
    }
    struct governor g = new_governor();
    struct governor_input alone = input_at(hard, l.low - MiB, 0);
    let_rest(&g, &alone);
    alone.usage = alone.committed = l.low - MiB;
    alone.dirty = 100 * MiB;
    cr_expect_eq(look_at(&g, &alone).purge, 0, "alone it sees all growth itself");
}

/* --- free pages that come and go --- */

/* The purge decided on for a process of such a group that uses `active`, the rest of its 60 MiB
 * being free. */
static uint64_t tide_purge(struct governor *g, uint64_t *now_ns, uint64_t usage, uint64_t active)
{
    struct governor_input in = one_of_a_group(usage, 60 * MiB - active);
    in.active = active;
    in.watched = true;
    in.now_ns = *now_ns;
    *now_ns += 100 * NS_PER_MS;
    return look_at(g, &in).purge;
}

/* At this usage the process's share of the room is 12 MiB. */
static const uint64_t clear_of_low = 800 * MiB;

/* The purge at a fall that follows three falls and rises of 30 MiB. */
static uint64_t purge_after_tides(struct governor *g, uint64_t *now_ns, uint64_t usage)
{
    *now_ns = 60 * NS_PER_S;
    for (unsigned i = 0; i < 3; i++) {
        (void)tide_purge(g, now_ns, usage, 60 * MiB);
        (void)tide_purge(g, now_ns, usage, 10 * MiB);
        (void)tide_purge(g, now_ns, usage, 40 * MiB);
    }
    return tide_purge(g, now_ns, usage, 10 * MiB);
}

Test(governor_group, what_was_freed_and_taken_again_is_kept_for_the_next_time)
{
    struct governor g = new_governor();
    uint64_t now = 60 * NS_PER_S;
    (void)tide_purge(&g, &now, clear_of_low, 60 * MiB);
    cr_expect_geq(tide_purge(&g, &now, clear_of_low, 10 * MiB), 38 * MiB, "it may be for once");
    for (unsigned i = 0; i < 10; i++) {
        (void)tide_purge(&g, &now, clear_of_low, 40 * MiB);
        uint64_t purge = tide_purge(&g, &now, clear_of_low, 10 * MiB);
        cr_assert_geq(purge, 20 * MiB, "what does not come back goes, in turn %u", i);
        cr_assert_lt(purge, 30 * MiB, "the 30 MiB that do stay, in turn %u", i);
    }
    now += 600 * NS_PER_MS;
    cr_expect_geq(tide_purge(&g, &now, clear_of_low, 10 * MiB), 38 * MiB,
                  "nothing has come back lately");
}

Test(governor_group, growth_is_no_reason_to_keep_free_pages)
{
    struct governor g = new_governor();
    uint64_t now = 60 * NS_PER_S;
    for (uint64_t active = 10 * MiB; active < 40 * MiB; active += 4 * MiB)
        (void)tide_purge(&g, &now, clear_of_low, active);
    cr_expect_geq(tide_purge(&g, &now, clear_of_low, 10 * MiB), 38 * MiB);
}

Test(governor_group, nothing_is_kept_that_way_near_the_line_nor_where_nobody_looks_later)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    uint64_t now;
    cr_expect_lt(purge_after_tides(&g, &now, clear_of_low), 30 * MiB);
    struct governor_input in = one_of_a_group(clear_of_low, 50 * MiB);
    in.active = 10 * MiB;
    in.now_ns = now;
    cr_expect_geq(look_at(&g, &in).purge, 38 * MiB, "it has no watcher");
    g = new_governor();
    cr_expect_geq(purge_after_tides(&g, &now, l.low - 16 * MiB), 45 * MiB);
    g = new_governor();
    cr_expect_geq(purge_after_tides(&g, &now, l.low), 50 * MiB);
}

/* --- looks at frees --- */

Test(governor_group, a_burst_of_frees_is_looked_at_where_others_need_the_room)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = one_of_a_group(0, 0);
    let_rest(&g, &in);
    in = one_of_a_group(l.soft, 20 * MiB);
    in.now_ns += 60 * NS_PER_S;
    struct governor_decision d = look_at(&g, &in);
    cr_expect(d.look_freed > 0 && d.look_freed <= 8 * MiB, "%zu", (size_t)d.look_freed);
    in = one_of_a_group(hard / 4, 20 * MiB);
    cr_expect_gt(look_at(&g, &in).look_freed, 20 * MiB,
                 "others may take all of it within a second");
    in.limits = cgroup_limits(4 * GiB);
    cr_expect_eq(look_at(&g, &in).look_freed, 0, "far from the limit nothing is watched");
    in = input_at(hard, l.soft, 20 * MiB);
    cr_expect_eq(look_at(&g, &in).look_freed, 0, "alone");
    in = one_of_a_group(l.soft, 20 * MiB);
    in.limits.source = LIMITS_MACHINE;
    cr_expect_eq(look_at(&g, &in).look_freed, 0, "nobody set that limit");
}
