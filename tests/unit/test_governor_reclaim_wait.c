/* How long reclaimers are left alone after a pass that gave nothing, and what counts as given. */
#include "governor_pressed.h"

#include <criterion/criterion.h>

Test(governor_reclaim_wait, useless_passes_double_the_wait_up_to_30_s)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).critical, 0);
    uint64_t before = 0, longest = 0;
    for (unsigned i = 0; i < 20; i++) {
        cr_assert(look_at(&g, &in).callbacks_due, "pass %u", i);
        pass(&g, &in, 100 * MiB, 0);
        uint64_t began = in.now_ns;
        while (!look_at(&g, &in).callbacks_due)
            in.now_ns += NS_PER_MS;
        uint64_t wait = in.now_ns - began;
        if (i > 0)
            cr_assert(wait == 2 * before || wait == 30 * NS_PER_S, "pass %u: %zu ms", i,
                      (size_t)(wait / NS_PER_MS));
        before = wait;
        longest = u64_max(longest, wait);
    }
    cr_expect_eq(longest, 30 * NS_PER_S);
}

Test(governor_reclaim_wait, pass_that_gives_5_percent_ends_the_wait)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    for (unsigned i = 0; i < 10; i++)
        pass(&g, &in, 100 * MiB, 0);
    cr_assert_not(look_at(&g, &in).callbacks_due);
    pass(&g, &in, 20 * MiB, MiB - 1);
    in.usage -= MiB - 1;
    cr_assert_not(look_at(&g, &in).callbacks_due);
    pass(&g, &in, 100 * MiB, 5 * MiB);
    cr_expect(look_at(&g, &in).callbacks_due);
    pass(&g, &in, 100 * MiB, 0);
    in.now_ns += 50 * NS_PER_MS;
    cr_expect(look_at(&g, &in).callbacks_due, "the wait begins small again");
}

/* As a reclaimer does that frees little at a time. */
Test(governor_reclaim_wait, pass_that_frees_what_is_worth_one_ends_the_wait)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).critical, 0);
    pass(&g, &in, 100 * MiB, 2 * MiB - 1);
    in.usage -= 2 * MiB - 1;
    cr_assert_not(look_at(&g, &in).callbacks_due);
    pass(&g, &in, 100 * MiB, 2 * MiB);
    cr_expect(look_at(&g, &in).callbacks_due);
}

/* The other threads may have freed this by themselves. */
Test(governor_reclaim_wait, slow_one_beside_which_others_freed_is_called_a_tenth_of_the_time)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).critical, 0);
    (void)look_at(&g, &in);
    const struct governor_pass slow = {.now_ns = in.now_ns,
                                       .took_ns = 10 * NS_PER_MS,
                                       .asked = 100 * MiB,
                                       .used_before = in.usage,
                                       .used_after = in.usage - 10 * MiB};
    governor_pass_done(&g, &slow);
    cr_expect_not(look_at(&g, &in).callbacks_due);
    in.now_ns += 90 * NS_PER_MS;
    cr_expect(look_at(&g, &in).callbacks_due);
    cr_expect_not(governor_pass_was_useless(&g), "they may be its doing");
}

/* The reclaimer reports what was freed, and usage shows it. */
Test(governor_reclaim_wait, slow_one_that_has_another_thread_free_is_called_again_at_once)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).critical, 0);
    (void)look_at(&g, &in);
    struct governor_pass by_another = {.now_ns = in.now_ns,
                                       .took_ns = 50 * NS_PER_MS,
                                       .asked = 100 * MiB,
                                       .said = 100 * MiB,
                                       .used_before = in.usage,
                                       .used_after = in.usage - 90 * MiB};
    governor_pass_done(&g, &by_another);
    cr_expect(look_at(&g, &in).callbacks_due);
    by_another.used_after = in.usage;
    governor_pass_done(&g, &by_another);
    cr_expect_not(look_at(&g, &in).callbacks_due, "nothing is seen of it");
}

/* The program may ask for anything, also below the soft limit. */
Test(governor_reclaim_wait, pass_that_only_the_program_wanted_changes_no_wait)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    for (unsigned i = 0; i < 10; i++)
        pass(&g, &in, 100 * MiB, 0);
    uint64_t wait_ns = g.pass.ns;
    pass(&g, &in, 0, 0);
    pass(&g, &in, 0, 10 * MiB);
    in.usage -= 10 * MiB;
    cr_expect_eq(g.pass.ns, wait_ns);
    cr_expect_not(look_at(&g, &in).callbacks_due);
}

Test(governor_reclaim_wait, what_live_bytes_or_usage_lost_counts_as_given)
{
    const struct governor_pass gave[] = {
        {.asked = MiB, .freed = MiB},
        {.asked = MiB, .live_before = 2 * MiB, .live_after = MiB},
        {.asked = MiB, .used_before = 2 * MiB, .used_after = MiB},
    };
    for (size_t i = 0; i < ARRAY_LEN(gave); i++) {
        struct governor g = new_governor();
        struct governor_input in = pressed(hard, 0);
        struct governor_pass p = gave[i];
        p.now_ns = in.now_ns;
        governor_pass_done(&g, &p);
        in.now_ns += 20 * NS_PER_MS;
        cr_expect(look_at(&g, &in).callbacks_due, "pass %zu", i);
    }
}

Test(governor_reclaim_wait, growth_during_a_pass_is_not_a_gift)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(hard, 0);
    const struct governor_pass p = {
        .now_ns = in.now_ns,
        .asked = MiB,
        .used_before = GiB,
        .used_after = GiB + 50 * MiB,
        .live_before = 500 * MiB,
        .live_after = 550 * MiB,
    };
    (void)look_at(&g, &in);
    governor_pass_done(&g, &p);
    cr_expect_not(look_at(&g, &in).callbacks_due);
}

Test(governor_reclaim_wait, wait_ends_when_usage_falls_below_soft)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(cgroup_limits(hard).critical, 0);
    for (unsigned i = 0; i < 12; i++)
        pass(&g, &in, 100 * MiB, 0);
    in.now_ns += NS_PER_S;
    cr_assert_not(look_at(&g, &in).callbacks_due);
    struct governor_input below = pressed(hard / 2, 0);
    below.now_ns = in.now_ns;
    (void)look_at(&g, &below);
    (void)governor_meets(&g, &below);
    cr_expect(look_at(&g, &in).callbacks_due);
}

/* Beside readers, reclaimers are asked below the soft limit; usage below it must not end their
 * wait. */
Test(governor_reclaim_wait, who_gives_nothing_is_left_alone_beside_readers_too)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = pressed(l.soft - 4 * MiB, 0);
    in.on_the_way = 8 * MiB;
    unsigned passes = 0;
    for (uint64_t end = in.now_ns + 60 * NS_PER_S; in.now_ns < end; in.now_ns += 100 * NS_PER_MS) {
        bool due = look_at(&g, &in).callbacks_due;
        (void)governor_meets(&g, &in);
        if (!due)
            continue;
        pass(&g, &in, 14 * MiB, 0);
        passes++;
    }
    cr_expect_geq(passes, 2u);
    cr_expect_leq(passes, 15u);
}
