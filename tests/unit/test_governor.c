/* What a look decides by the level: the level itself, emptied caches, ageing. Time and memory are
 * simulated. */
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
