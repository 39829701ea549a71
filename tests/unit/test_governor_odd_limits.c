/* No limit, tiny and vast ones, extreme numbers, and a clock that goes back. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

static struct governor_decision look_under(struct limits l, uint64_t usage, uint64_t dirty)
{
    struct governor g = new_governor();
    struct governor_input in = {
        .now_ns = START_NS, .limits = l, .usage = usage, .committed = usage, .dirty = dirty};
    return look_at(&g, &in);
}

Test(governor_odd_limits, without_a_limit_nothing_is_done)
{
    const struct limits limits[] = {
        cgroup_limits(UNLIMITED), {.source = LIMITS_CGROUP}, /* all lines at 0 */
    };
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        struct governor_decision d = look_under(limits[i], 100 * GiB, 50 * GiB);
        cr_expect_eq(d.level, PLIM_NORMAL);
        cr_expect_eq(d.purge, 0u);
        cr_expect_not(d.flush_caches);
        cr_expect_not(d.heap_matters);
        cr_expect_not(d.callbacks_due);
        cr_expect_not(d.no_room);
        cr_expect_eq(d.watch_after_ns, UINT64_MAX);
        cr_expect_geq(d.look_after, MiB);
    }
}

Test(governor_odd_limits, level_ends_when_the_limit_goes)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, hard, 0);
    (void)look_at(&g, &in);
    in.limits = cgroup_limits(UNLIMITED);
    struct governor_decision d = look_at(&g, &in);
    cr_expect_eq(d.level, PLIM_NORMAL);
    cr_expect(d.level_changed);
    cr_expect_not(look_at(&g, &in).level_changed, "told once");
}

Test(governor_odd_limits, limit_of_32_mib_works)
{
    const struct limits l = cgroup_limits(32 * MiB);
    struct governor_decision d = look_under(l, 16 * MiB, 8 * MiB);
    cr_expect_eq(d.level, PLIM_NORMAL);
    cr_expect_eq(d.purge, 0u);
    cr_expect_leq(d.look_after, 2 * MiB);
    d = look_under(l, l.critical, 8 * MiB);
    cr_expect_eq(d.level, PLIM_CRITICAL);
    cr_expect_geq(d.purge, l.critical - l.soft);
    cr_expect_not(d.no_room);
    cr_expect(look_under(l, 32 * MiB - 512 * KiB, 0).no_room);
}

Test(governor_odd_limits, limits_too_small_to_live_in_are_at_the_wall)
{
    const uint64_t tiny[] = {1, 2, 4096, 100 * KiB, 511 * KiB, MiB};
    for (size_t i = 0; i < ARRAY_LEN(tiny); i++) {
        struct governor_decision d = look_under(cgroup_limits(tiny[i]), 8 * MiB, 4 * MiB);
        cr_expect_eq(d.level, PLIM_CRITICAL);
        cr_expect(d.no_room, "limit %zu", (size_t)tiny[i]);
        cr_expect_eq(d.purge, UINT64_MAX, "limit %zu", (size_t)tiny[i]);
    }
}

Test(governor_odd_limits, extreme_numbers_do_not_wrap)
{
    const uint64_t extremes[] = {
        0, 1, GiB, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX};
    const size_t n = ARRAY_LEN(extremes);
    for (size_t i = 0; i < n * n * n; i++) {
        uint64_t usage = extremes[i % n], dirty = extremes[i / n % n];
        uint64_t request = extremes[i / n / n];
        struct governor g = new_governor();
        struct governor_input in = input_at(hard, usage, dirty);
        in.request = request;
        in.reclaimers = 1;
        struct governor_decision d = look_at(&g, &in);
        cr_assert_eq(d.level == PLIM_CRITICAL, usage >= cgroup_limits(hard).critical);
        cr_assert(d.look_after > 0 && d.look_after <= 2 * hard, "usage %zx dirty %zx request %zx",
                  usage, dirty, request);
        bool near = usage >= hard;
        cr_assert_eq(d.purge == UINT64_MAX, near && dirty >= 64 * KiB,
                     "usage %zx dirty %zx request %zx", usage, dirty, request);
        cr_assert_eq(d.no_room && dirty == 0, dirty == 0 && (near || request >= hard));
        bool wanted = u64_less(usage, dirty) >= hard - 1;
        cr_assert_eq(d.callbacks_due, wanted, "usage %zx dirty %zx request %zx", usage, dirty,
                     request);
    }
}

Test(governor_odd_limits, vast_limits_do_not_wrap)
{
    const uint64_t vast[] = {(uint64_t)1 << 61, INT64_MAX, UINT64_MAX - 1};
    for (size_t i = 0; i < ARRAY_LEN(vast); i++) {
        struct limits l = cgroup_limits(vast[i]);
        cr_expect_eq(look_under(l, 10 * GiB, GiB).level, PLIM_NORMAL);
        cr_expect_eq(look_under(l, 10 * GiB, GiB).purge, 0u);
        cr_expect_eq(look_under(l, l.critical, GiB).level, PLIM_CRITICAL);
        cr_expect_gt(look_under(l, l.critical, GiB).purge, 0u);
    }
}

Test(governor_odd_limits, clock_that_stands_still_or_goes_back_does_no_harm)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, l.soft, 200 * MiB);
    const uint64_t times[] = {START_NS, START_NS, 0, UINT64_MAX, 1, START_NS};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        in.now_ns = times[i];
        in.usage = in.committed = l.critical;
        cr_expect_gt(look_at(&g, &in).purge, 0u);
    }
}
