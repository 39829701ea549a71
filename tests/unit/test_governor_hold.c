/* When there is no room, and how long threads are held back then. */
#include "governor_decide.h"

#include <criterion/criterion.h>

Test(governor_hold, there_is_room_until_the_wall)
{
    cr_expect_not(decide(hard - 17 * MiB, 0, 0).no_room);
    cr_expect(decide(hard - 16 * MiB, 0, 0).no_room);
    cr_expect(decide(2 * hard, 0, 0).no_room);
    cr_expect_not(decide(hard - MiB, 100 * MiB, 0).no_room, "the purge makes room");
    cr_expect_not(decide(500 * MiB, 0, 500 * MiB).no_room);
    cr_expect(decide(500 * MiB, 0, 510 * MiB).no_room);
    cr_expect_not(decide(500 * MiB, 100 * MiB, 510 * MiB).no_room);
}

/* --- holding threads back --- */

Test(governor_hold, threads_are_held_only_while_somebody_may_free)
{
    const struct limits l = cgroup_limits(hard);
    struct governor_input in = input_at(hard, l.critical, 0);
    cr_expect_eq(hold(in), 0u, "there is room");
    in.reclaimers = 1;
    cr_expect_eq(hold(in), 300 * NS_PER_MS, "reclaimers are at work");
    in.in_vain = true;
    cr_expect_eq(hold(in), 5 * NS_PER_MS, "but for this very thread they seem to wait");
    in.usage = hard;
    cr_expect_eq(hold(in), NS_PER_S, "they are the only hope all the same");
    in.usage = l.critical;
    in.in_vain = false;
    in.usage = in.committed = hard;
    cr_expect_eq(hold(in), NS_PER_S, "they are the only hope");
    in.reclaimers = 0;
    cr_expect_leq(hold(in), 20 * NS_PER_MS, "only other threads can free");
    in.committed = hard / 2;
    cr_expect_eq(hold(in), 150 * NS_PER_MS, "others in the group can");
    in.dirty = 100 * MiB;
    cr_expect_eq(hold(in), 0u, "the purge makes room");
}

/* The kernel moves other pages to swap, so nothing is killed. */
Test(governor_hold, where_swap_is_left_nobody_is_refused_nor_waits_but_for_reclaimers)
{
    struct governor_input in = input_at(hard, hard, 0);
    struct governor g = new_governor();
    in.swap_room = hard / 16;
    cr_expect_eq(hold(in), 0u);
    cr_expect_not(look_at(&g, &in).no_room);
    in.reclaimers = 1;
    cr_expect_eq(hold(in), 300 * NS_PER_MS, "caches go before that");
    in.reclaimers = 0;
    in.on_the_way = 10 * MiB;
    cr_expect_eq(hold(in), 0u);
    in.request = hard / 8;
    cr_expect(look_at(&g, &in).no_room, "it does not take as much");
    in.request = 0;
    in.swap_room--;
    cr_expect(look_at(&g, &in).no_room, "as good as none");
}

/* Sixteen threads whose wait is over must not together take all that is left. */
Test(governor_hold, those_who_waited_for_reclaimers_go_on_by_one_step_in_all)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, hard - 8 * MiB, 0);
    uint64_t step = look_at(&g, &in).look_after;
    in.reclaimers = in.held = 1;
    cr_expect_gt(look_at(&g, &in).hold_ns, 0u);
    cr_expect_eq(look_at(&g, &in).look_after, step);
    in.held = 4;
    cr_expect_eq(look_at(&g, &in).look_after, step / 4);
    in.held = 10000;
    cr_expect_eq(look_at(&g, &in).look_after, 16 * KiB);
}

Test(governor_hold, nobody_is_held_for_what_can_never_fit)
{
    struct governor_input in = input_at(hard, 100 * MiB, 0);
    const uint64_t requests[] = {hard, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        in.request = requests[i];
        cr_expect_eq(hold(in), 0u, "request %zu", i);
    }
    in.request = hard - MiB;
    cr_expect_gt(hold(in), 0u, "others may free so much");
}
