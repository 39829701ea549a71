/* The table of reclaimers, and what is counted of each. */
#include "reclaimers_case.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(reclaimers, bad_arguments_are_refused)
{
    cr_expect_eq(reclaimers_add("x", NULL, NULL, PLIM_LOW), -EINVAL);
    cr_expect_eq(reclaimers_add("x", count_call, NULL, (enum plim_level) - 1), -EINVAL);
    cr_expect_eq(reclaimers_add("x", count_call, NULL, (enum plim_level)4), -EINVAL);
    for (enum plim_level at = PLIM_NORMAL; at <= PLIM_CRITICAL; at++)
        cr_expect_eq(reclaimers_count(at), 0u);
}

Test(reclaimers, name_may_be_missing_or_long)
{
    struct probe probe = {0};
    char name[400];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    cr_expect_geq(reclaimers_add(NULL, count_call, &probe, PLIM_LOW), 0);
    cr_expect_geq(reclaimers_add(name, count_call, &probe, PLIM_LOW), 0);
    (void)run(PLIM_LOW, MiB);
    cr_expect_eq(probe.calls, 2u);
}

Test(reclaimers, sixty_four_fit_and_no_more)
{
    struct probe probe = {0};
    int ids[RECLAIMERS_MAX];
    for (unsigned i = 0; i < RECLAIMERS_MAX; i++) {
        ids[i] = reclaimers_add("x", count_call, &probe, PLIM_LOW);
        cr_assert_geq(ids[i], 0);
        for (unsigned j = 0; j < i; j++)
            cr_assert_neq(ids[i], ids[j]);
    }
    cr_expect_eq(reclaimers_add("x", count_call, &probe, PLIM_LOW), -ENOSPC);
    (void)run(PLIM_CRITICAL, MiB);
    cr_expect_eq(probe.calls, (unsigned)RECLAIMERS_MAX);
    cr_expect_eq(reclaimers_remove(ids[17]), 0);
    cr_expect_geq(reclaimers_add("x", count_call, &probe, PLIM_LOW), 0);
    cr_expect_eq(reclaimers_add("x", count_call, &probe, PLIM_LOW), -ENOSPC);
}

Test(reclaimers, removed_id_stays_unknown_though_its_place_is_used_again)
{
    struct probe probe = {0};
    int first = reclaimers_add("x", count_call, &probe, PLIM_LOW);
    cr_assert_eq(reclaimers_remove(first), 0);
    for (unsigned i = 0; i < 1000; i++) {
        int id = reclaimers_add("x", count_call, &probe, PLIM_LOW);
        cr_assert_geq(id, 0);
        cr_assert_neq(id, first);
        cr_assert_eq(reclaimers_remove(first), -ENOENT);
        cr_assert_eq(reclaimers_remove(id), 0);
        cr_assert_eq(reclaimers_remove(id), -ENOENT, "twice");
    }
    (void)run(PLIM_CRITICAL, MiB);
    cr_expect_eq(probe.calls, 0u);
}

Test(reclaimers, ids_that_never_were_are_unknown)
{
    const int ids[] = {0, 1, 63, 64, -1, -64, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        cr_expect_eq(reclaimers_remove(ids[i]), -ENOENT, "%d", ids[i]);
}

Test(reclaimers, ids_stay_positive_over_millions_of_uses_of_one_place)
{
    struct probe probe = {0};
    for (unsigned i = 0; i < 20 * 1000 * 1000; i++) {
        int id = reclaimers_add("x", count_call, &probe, PLIM_LOW);
        cr_assert_geq(id, 0, "use %u", i);
        cr_assert_eq(reclaimers_remove(id), 0, "use %u", i);
    }
}

Test(reclaimers, count_is_by_level)
{
    struct probe probe = {0};
    int low = reclaimers_add("low", count_call, &probe, PLIM_LOW);
    (void)reclaimers_add("critical", count_call, &probe, PLIM_CRITICAL);
    cr_expect_eq(reclaimers_count(PLIM_NORMAL), 0u);
    cr_expect_eq(reclaimers_count(PLIM_LOW), 1u);
    cr_expect_eq(reclaimers_count(PLIM_MEDIUM), 1u);
    cr_expect_eq(reclaimers_count(PLIM_CRITICAL), 2u);
    cr_assert_eq(reclaimers_remove(low), 0);
    cr_expect_eq(reclaimers_count(PLIM_LOW), 0u);
    cr_expect_eq(reclaimers_count(PLIM_CRITICAL), 1u);
}

/* --- what each has given --- */

static size_t remove_self(const struct plim_pressure *p, void *arg)
{
    (void)p;
    (void)reclaimers_remove(*(int *)arg);
    return MiB;
}

Test(reclaimers, what_each_was_asked_for_and_gave_is_counted)
{
    struct reclaimer_info info;
    struct probe a = {.gives = MiB}, b = {.gives = 2 * MiB};
    (void)reclaimers_add("a MiB", count_call, &a, PLIM_LOW);
    (void)reclaimers_add("rest", count_call, &b, PLIM_CRITICAL);
    (void)run(PLIM_LOW, MiB);
    (void)run(PLIM_CRITICAL, 3 * MiB);
    cr_assert(reclaimers_info(0, &info));
    cr_expect_str_eq(info.name, "a MiB");
    cr_expect_eq(info.calls, 2);
    cr_expect_eq(info.asked, 4 * MiB);
    cr_expect_eq(info.freed, 2 * MiB);
    cr_assert(reclaimers_info(1, &info));
    cr_expect_str_eq(info.name, "rest");
    cr_expect_eq(info.calls, 1);
    cr_expect_eq(info.asked, 2 * MiB);
    cr_expect_not(reclaimers_info(2, &info));
}

Test(reclaimers, next_in_a_slot_begins_anew)
{
    struct reclaimer_info info;
    struct probe probe = {0};
    int id = reclaimers_add("first", count_call, &probe, PLIM_LOW);
    (void)run(PLIM_LOW, MiB);
    (void)reclaimers_remove(id);
    cr_expect_not(reclaimers_info(0, &info));
    id = reclaimers_add("second", remove_self, &id, PLIM_LOW);
    (void)run(PLIM_LOW, MiB);
    (void)reclaimers_add("third", count_call, &probe, PLIM_LOW);
    cr_assert(reclaimers_info(0, &info));
    cr_expect_str_eq(info.name, "third");
    cr_expect_eq(info.calls, 0);
}
