/* When free pages are joined as they are freed. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

/* An allocating thread looks, far from the limit. */
static bool coalesces(struct governor *g, uint64_t committed, uint64_t dirty)
{
    struct governor_input in = input_at(hard, committed, dirty);
    return look_at(g, &in).coalesce;
}

Test(governor_coalesce, a_heap_that_grows_with_an_eighth_of_it_free_joins_that)
{
    struct governor g = new_governor();
    cr_expect_not(coalesces(&g, 0, 0));
    cr_expect_not(coalesces(&g, 80 * MiB, 10 * MiB - 1));
    cr_expect(coalesces(&g, 80 * MiB, 10 * MiB));
}

Test(governor_coalesce, it_goes_on_until_less_than_a_sixteenth_is_free)
{
    struct governor g = new_governor();
    cr_assert(coalesces(&g, 80 * MiB, 10 * MiB));
    cr_expect(coalesces(&g, 80 * MiB, 5 * MiB));
    cr_expect_not(coalesces(&g, 80 * MiB, 5 * MiB - 1));
    cr_expect_not(coalesces(&g, 80 * MiB, 10 * MiB - 1));
}

Test(governor_coalesce, so_it_is_without_a_limit)
{
    struct governor g = new_governor();
    struct governor_input in = {.now_ns = START_NS, .committed = 80 * MiB, .dirty = 10 * MiB};
    cr_assert_eq(in.limits.source, LIMITS_NONE);
    cr_expect(look_at(&g, &in).coalesce);
    in.dirty = 0;
    cr_expect_not(look_at(&g, &in).coalesce);
}

/* Then nothing that was asked for did not fit. */
Test(governor_coalesce, a_look_of_the_watcher_far_from_the_limit_changes_nothing)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, 80 * MiB, 40 * MiB);
    in.from_watcher = true;
    cr_expect_not(look_at(&g, &in).coalesce);
    cr_assert(coalesces(&g, 80 * MiB, 40 * MiB));
    in.dirty = 0;
    cr_expect(look_at(&g, &in).coalesce);
}

Test(governor_coalesce, past_low_it_is_always_so)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, l.low, 0);
    in.from_watcher = true;
    cr_expect(look_at(&g, &in).coalesce);
    in.usage = in.committed = l.low - 1;
    in.from_watcher = false;
    cr_expect_not(look_at(&g, &in).coalesce);
}
