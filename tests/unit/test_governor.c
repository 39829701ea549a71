/* What a look decides: level, purge, ageing, the next look. Time and memory are simulated. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

/* --- levels --- */

Test(governor, levels_begin_at_their_lines)
{
    const struct limits l = cgroup_limits(hard);
    const struct {
        uint64_t usage;
        enum plim_level level;
    } steps[] = {
        {0, PLIM_NORMAL},
        {l.low - 1, PLIM_NORMAL},
        {l.low, PLIM_LOW},
        {l.soft - 1, PLIM_LOW},
        {l.soft, PLIM_MEDIUM},
        {l.critical - 1, PLIM_MEDIUM},
        {l.critical, PLIM_CRITICAL},
        {hard, PLIM_CRITICAL},
        {2 * hard, PLIM_CRITICAL},
    };
    struct governor g = new_governor();
    enum plim_level before = PLIM_NORMAL;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct governor_input in = input_at(hard, steps[i].usage, 0);
        struct governor_decision d = look_at(&g, &in);
        cr_expect_eq(d.level, steps[i].level, "step %zu: level %d", i, (int)d.level);
        cr_expect_eq(d.level_changed, steps[i].level != before, "step %zu", i);
        before = d.level;
    }
}

Test(governor, level_ends_five_points_below_where_it_begins)
{
    const struct limits l = cgroup_limits(hard);
    const uint64_t slack = of_percent(hard, 50);
    const struct {
        uint64_t usage;
        enum plim_level level;
    } steps[] = {
        {l.critical, PLIM_CRITICAL},           {l.critical - slack, PLIM_CRITICAL},
        {l.critical - slack - 1, PLIM_MEDIUM}, {l.soft - slack, PLIM_MEDIUM},
        {l.soft - slack - 1, PLIM_LOW},        {l.low - slack, PLIM_LOW},
        {l.low - slack - 1, PLIM_NORMAL},      {l.low - 1, PLIM_NORMAL},
    };
    struct governor g = new_governor();
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct governor_input in = input_at(hard, steps[i].usage, 0);
        struct governor_decision d = look_at(&g, &in);
        cr_expect_eq(d.level, steps[i].level, "step %zu: level %d", i, (int)d.level);
    }
}

Test(governor, usage_that_trembles_around_a_line_changes_the_level_once)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    unsigned changes = 0;
    for (unsigned i = 0; i < 1000; i++) {
        struct governor_input in = input_at(hard, i % 2 ? l.soft + MiB : l.soft - 20 * MiB, 0);
        changes += look_at(&g, &in).level_changed;
    }
    cr_expect_leq(changes, 2u, "low once, medium once: %u", changes);
}

/* Another cgroup binds now, or the limit has changed. */
Test(governor, what_was_said_of_one_limit_does_not_hold_for_another)
{
    const struct limits l = cgroup_limits(2 * hard);
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, hard, 0);
    cr_expect_eq(look_at(&g, &in).level, PLIM_CRITICAL);
    in = input_at(2 * hard, l.critical - 1, 0);
    cr_expect_eq(look_at(&g, &in).level, PLIM_MEDIUM);
}

Test(governor, level_falls_through_all_at_once)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, hard, 0);
    (void)look_at(&g, &in);
    in.usage = 0;
    cr_expect_eq(look_at(&g, &in).level, PLIM_NORMAL);
}

/* --- purging --- */

static uint64_t purge_at(uint64_t usage, uint64_t dirty, uint64_t request)
{
    struct governor g = new_governor();
    struct governor_input in = rested_at(&g, hard, usage, dirty);
    in.request = request;
    return look_at(&g, &in).purge;
}

Test(governor, nothing_is_purged_below_low)
{
    const struct limits l = cgroup_limits(hard);
    cr_expect_eq(purge_at(0, 0, 0), 0u);
    cr_expect_eq(purge_at(l.low - 1, l.low - 1, 0), 0u);
    cr_expect_eq(purge_at(l.low - 2, GiB, 1), 0u);
    cr_expect_gt(purge_at(l.low - 1, 100 * MiB, 1), 0u, "the request counts");
}

Test(governor, purge_leads_just_below_low_and_no_further)
{
    const struct limits l = cgroup_limits(hard);
    for (uint64_t usage = l.low; usage < l.critical; usage += 3 * MiB) {
        uint64_t purge = purge_at(usage, hard, 0);
        cr_assert_geq(purge, usage - l.low, "at %zu MiB", (size_t)(usage / MiB));
        cr_assert_leq(purge, usage - l.low + of_percent(hard, 20), "at %zu MiB",
                      (size_t)(usage / MiB));
    }
}

Test(governor, near_the_hard_limit_as_much_as_leads_below_soft_and_at_the_wall_all)
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

Test(governor, few_free_pages_are_not_worth_a_purge)
{
    const struct limits l = cgroup_limits(hard);
    cr_expect_eq(purge_at(l.soft, 4 * MiB - 1, 0), 0u);
    cr_expect_gt(purge_at(l.soft, 4 * MiB, 0), 0u);
    cr_expect_gt(purge_at(l.critical, 64 * KiB, 0), 0u, "where a kill is near they are");
    cr_expect_eq(purge_at(l.critical, 64 * KiB - 1, 0), 0u);
}

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

Test(governor, from_where_purging_starts_nothing_is_kept_from_others_of_a_group)
{
    const struct limits l = cgroup_limits(hard);
    for (uint64_t usage = l.low; usage < l.critical; usage += 8 * MiB)
        cr_assert_geq(group_purge(usage, 50 * MiB), 50 * MiB, "%zu MiB", (size_t)(usage / MiB));
    cr_expect_eq(group_purge(l.low, 3 * MiB), 0, "not worth the calls");
}

Test(governor, below_that_its_part_of_the_room_is_kept)
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

Test(governor, what_was_freed_and_taken_again_is_kept_for_the_next_time)
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

Test(governor, growth_is_no_reason_to_keep_free_pages)
{
    struct governor g = new_governor();
    uint64_t now = 60 * NS_PER_S;
    for (uint64_t active = 10 * MiB; active < 40 * MiB; active += 4 * MiB)
        (void)tide_purge(&g, &now, clear_of_low, active);
    cr_expect_geq(tide_purge(&g, &now, clear_of_low, 10 * MiB), 38 * MiB);
}

Test(governor, nothing_is_kept_that_way_near_the_line_nor_where_nobody_looks_later)
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

Test(governor, a_burst_of_frees_is_looked_at_where_others_need_the_room)
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

Test(governor, nothing_is_given_up_for_a_request_that_no_purge_can_make_possible)
{
    cr_expect_eq(purge_at(MiB, hard, hard), 0u);
    cr_expect_eq(purge_at(MiB, hard, UINT64_MAX), 0u);
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

Test(governor, idle_heap_gives_its_free_pages_back_the_sooner_the_less_room_there_is)
{
    cr_expect_eq(idle_for(9 * NS_PER_S, hard / 4, 50 * MiB, true).purge, 0u);
    cr_expect_eq(idle_for(11 * NS_PER_S, hard / 4, 50 * MiB, true).purge, UINT64_MAX);
    cr_expect_eq(idle_for(100 * NS_PER_MS, hard / 2, 50 * MiB, true).purge, 0u);
    cr_expect_eq(idle_for(200 * NS_PER_MS, hard / 2, 50 * MiB, true).purge, UINT64_MAX);
    cr_expect_eq(idle_for(3600 * NS_PER_S, hard / 2, MiB, true).purge, 0u, "hardly any");
    cr_expect_eq(idle_for(3600 * NS_PER_S, hard / 2, 50 * MiB, false).purge, 0u,
                 "whoever allocates is not idle");
}

Test(governor, heap_that_changes_is_not_idle)
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

/* --- the cap on CPU time --- */

Test(governor, spent_budget_stops_purging_below_critical_only)
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

Test(governor, nor_where_pages_touched_late_may_pass_the_limit_before_the_next_look)
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

Test(governor, small_limits_are_passed_unseen_from_farther_away)
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

Test(governor, budget_is_overdrawn_to_stay_close_to_the_soft_limit_for_a_while)
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

Test(governor, large_limits_are_purged_for_bit_by_bit)
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

/* Growth that never ends, at the line from which the budget is overdrawn. */
Test(governor, any_half_minute_keeps_to_the_cap)
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

Test(governor, budget_refills_at_four_fifths_of_the_rate_of_the_option)
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

Test(governor, rest_saves_up_two_seconds_of_budget_at_most)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, l.soft, 200 * MiB);
    in.now_ns += 3600 * NS_PER_S;
    (void)look_at(&g, &in);
    governor_spend(&g, 100 * NS_PER_MS);
    cr_expect_eq(look_at(&g, &in).purge, 0u);
}

Test(governor, one_vast_expense_is_forgiven_after_a_while)
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

/* --- thread caches --- */

Test(governor, caches_are_emptied_the_more_often_the_nearer_the_limit)
{
    const struct limits l = cgroup_limits(hard);
    const uint64_t usages[] = {l.low - 1, l.low, l.soft, l.critical};
    unsigned flushes[ARRAY_LEN(usages)] = {0};
    for (size_t i = 0; i < ARRAY_LEN(usages); i++) {
        struct governor g = new_governor();
        struct governor_input in = input_at(hard, usages[i], 0);
        for (unsigned ms = 0; ms < 1000; ms++, in.now_ns += NS_PER_MS)
            flushes[i] += look_at(&g, &in).flush_caches;
    }
    cr_expect_eq(flushes[0], 0u);
    cr_expect(flushes[1] > 0 && flushes[1] <= 6, "%u", flushes[1]);
    cr_expect(flushes[2] > flushes[1] && flushes[2] <= 51, "%u", flushes[2]);
    cr_expect(flushes[3] > flushes[2] && flushes[3] <= 501, "%u", flushes[3]);
}

/* --- ageing --- */

/* -1: the decay time that jemalloc was configured with, not one of ours. */
static int64_t age_limit(struct governor_decision d)
{
    return d.decay_ms < 0 ? INT64_MAX : d.decay_ms;
}

Test(governor, free_pages_live_the_shorter_the_nearer_the_limit)
{
    int64_t at_rest[3];
    for (unsigned profile = PROFILE_RELAXED; profile <= PROFILE_TIGHT; profile++) {
        struct options o = default_options();
        o.wish.profile = (enum profile)profile;
        struct governor g;
        governor_init(&g, &o, START_NS);
        int64_t before = INT64_MAX;
        for (uint64_t usage = 0; usage <= hard + 64 * MiB; usage += MiB) {
            struct governor_input in = input_at(hard, usage, 0);
            in.limits = limits_from_hard(LIMITS_CGROUP, hard, &o.wish);
            int64_t decay_ms = age_limit(look_at(&g, &in));
            cr_assert_leq(decay_ms, before, "at %zu MiB", (size_t)(usage / MiB));
            cr_assert_neq(decay_ms, 0);
            before = decay_ms;
        }
        struct governor_input in = input_at(hard, 0, 0);
        at_rest[profile] = age_limit(look_at(&g, &in));
        cr_expect_lt(before, at_rest[profile], "profile %u", profile);
    }
    cr_expect_eq(at_rest[PROFILE_BALANCED], INT64_MAX, "far from the limit as jemalloc itself");
    cr_expect_lt(at_rest[PROFILE_TIGHT], at_rest[PROFILE_BALANCED]);
}
