/* When free pages are joined with their neighbours as they are freed. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

static struct governor_input watched(uint64_t committed, uint64_t dirty)
{
    struct governor_input in = input_at(hard, committed, dirty);
    in.watched = true;
    return in;
}

/* What a look of an allocating thread decides far from the limit. */
static bool coalesces(struct governor *g, uint64_t committed, uint64_t dirty)
{
    struct governor_input in = watched(committed, dirty);
    return look_at(g, &in).coalesce;
}

static bool watcher_coalesces(struct governor *g, uint64_t committed, uint64_t dirty)
{
    struct governor_input in = watched(committed, dirty);
    in.from_watcher = true;
    return look_at(g, &in).coalesce;
}

Test(governor_coalesce, a_heap_that_grows_with_an_eighth_of_it_free_joins_that)
{
    struct governor g = new_governor();
    cr_expect_not(coalesces(&g, 80 * MiB, 10 * MiB - 1));
    cr_expect(coalesces(&g, 80 * MiB, 10 * MiB));
}

Test(governor_coalesce, what_is_freed_is_not_joined_for_that)
{
    struct governor g = new_governor();
    struct governor_input in = watched(80 * MiB, 40 * MiB);
    in.aside = true;
    cr_expect_not(look_at(&g, &in).coalesce);
    cr_expect(coalesces(&g, 80 * MiB, 40 * MiB));
    cr_expect(look_at(&g, &in).coalesce, "nor does a look aside end it");
}

Test(governor_coalesce, it_goes_on_until_less_than_a_sixteenth_is_free)
{
    struct governor g = new_governor();
    cr_assert(coalesces(&g, 80 * MiB, 10 * MiB));
    cr_expect(coalesces(&g, 80 * MiB, 5 * MiB));
    cr_expect_not(coalesces(&g, 80 * MiB, 5 * MiB - 1));
    cr_expect_not(coalesces(&g, 80 * MiB, 10 * MiB - 1));
}

Test(governor_coalesce, it_ends_once_the_watcher_sees_that_nothing_grows)
{
    struct governor g = new_governor();
    cr_assert(coalesces(&g, 80 * MiB, 40 * MiB));
    cr_expect(watcher_coalesces(&g, 81 * MiB, 40 * MiB));
    cr_expect(watcher_coalesces(&g, 82 * MiB, 40 * MiB));
    cr_expect_not(watcher_coalesces(&g, 82 * MiB, 40 * MiB));
    cr_expect_not(watcher_coalesces(&g, 90 * MiB, 40 * MiB), "it does not begin it either");
}

/* Without a watcher, nothing would give large runs back. */
Test(governor_coalesce, not_without_a_watcher)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, 80 * MiB, 40 * MiB);
    cr_expect_not(look_at(&g, &in).coalesce);
    in.usage = in.committed = l.soft;
    cr_expect_not(look_at(&g, &in).coalesce);
}

/* There free runs of 32 MiB and more are not near any limit: they go at once, if not joined. */
Test(governor_coalesce, not_far_from_a_limit_above_1_gib)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(GiB + 1, 80 * MiB, 40 * MiB);
    in.watched = true;
    cr_expect_not(look_at(&g, &in).coalesce);
    in.usage = in.committed = in.limits.soft;
    cr_expect(look_at(&g, &in).coalesce);
}

Test(governor_coalesce, not_without_a_limit)
{
    struct governor g = new_governor();
    struct governor_input in = watched(80 * MiB, 40 * MiB);
    cr_assert(look_at(&g, &in).coalesce);
    in.limits = (struct limits){.source = LIMITS_NONE};
    cr_expect_not(look_at(&g, &in).coalesce);
    cr_expect_not(coalesces(&g, 80 * MiB, 10 * MiB - 1), "it was forgotten");
}

Test(governor_coalesce, at_level_low_it_is_always_so)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    cr_expect(watcher_coalesces(&g, l.low, 0));
    cr_expect(watcher_coalesces(&g, l.low, 0), "also where nothing grows");
    cr_expect(coalesces(&g, l.low - 1, 0), "the level ends later");
    cr_expect_not(coalesces(&g, l.low - of_percent(hard, 50) - 1, 0));
}
