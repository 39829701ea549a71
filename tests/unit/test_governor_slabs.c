/* Pages in the middle of slabs: when they are given back, and what is known of them since. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

/* Inputs after a look, with `holes` bytes of the heap in free blocks of slabs. */
static struct governor_input with_holes(struct governor *g, uint64_t usage, uint64_t holes)
{
    struct governor_input in = rested_at(g, hard, usage, 0);
    (void)look_at(g, &in);
    governor_slabs_read(g, holes);
    return in;
}

/* A call gave back `bytes`, and found `absent` bytes that were not in memory before. */
static void gave(struct governor *g, struct governor_input *in, uint64_t bytes, uint64_t absent,
                 bool all)
{
    const struct governor_slabs_given given = {
        .now_ns = in->now_ns,
        .cpu_ns = NS_PER_MS,
        .bytes = bytes,
        .absent = absent,
        .is_exact = true,
        .all = all,
    };
    governor_slabs_done(g, &given);
    in->usage -= bytes;
    in->absent = g->slabs_absent;
}

Test(governor_slabs, nothing_below_the_soft_limit)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.soft - 1, 500 * MiB);
    cr_expect_eq(governor_slabs(&g, &in), 0u);
    in.usage = in.committed = l.soft;
    cr_expect_eq(governor_slabs(&g, &in), l.soft - l.low);
}

Test(governor_slabs, what_is_on_its_way_from_a_disk_counts)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.soft - 8 * MiB, 500 * MiB);
    in.on_the_way = 8 * MiB;
    cr_expect_gt(governor_slabs(&g, &in), 0u);
    in.on_the_way--;
    cr_expect_eq(governor_slabs(&g, &in), 0u);
}

Test(governor_slabs, free_pages_go_first)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.soft + 10 * MiB, 500 * MiB);
    in.dirty = 11 * MiB;
    cr_expect_eq(governor_slabs(&g, &in), 0u, "purging them is enough");
    in.dirty = 10 * MiB;
    cr_expect_gt(governor_slabs(&g, &in), 0u);
    in.dirty = 100 * MiB;
    in.stuck = 100 * MiB;
    cr_expect_gt(governor_slabs(&g, &in), 0u, "no purge gets those");
}

Test(governor_slabs, what_reclaimers_have_freed_is_left_to_what_comes_next)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.critical - 1, 500 * MiB);
    in.reclaimers = 1;
    cr_expect_eq(governor_slabs(&g, &in), 0u);
    in.usage = l.critical;
    cr_expect_gt(governor_slabs(&g, &in), 0u);
}

Test(governor_slabs, no_more_than_a_thread_can_wait_for)
{
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, hard - MiB, 900 * MiB);
    in.request = 100 * MiB;
    cr_expect_eq(governor_slabs(&g, &in), 64 * MiB);
}

Test(governor_slabs, a_part_of_it_where_others_share_the_limit)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.critical, 100 * MiB);
    in.committed = 200 * MiB;
    cr_expect_lt(governor_slabs(&g, &in), (l.critical - l.low) / 3);
}

Test(governor_slabs, not_without_a_budget_unless_it_is_critical)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.critical - 1, 500 * MiB);
    governor_spend(&g, 10 * NS_PER_S);
    cr_expect_eq(governor_slabs(&g, &in), 0u);
    in.usage = l.critical;
    cr_expect_gt(governor_slabs(&g, &in), 0u);
}

Test(governor_slabs, what_cannot_be_had_is_not_looked_for_again)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.critical, 500 * MiB);
    cr_expect_gt(governor_slabs(&g, &in), 0u);
    gave(&g, &in, MiB, 0, true);
    in.usage = l.critical;
    cr_expect_eq(governor_slabs(&g, &in), 0u);
    governor_slabs_read(&g, 500 * MiB + hard / 64 - 1);
    cr_expect_eq(governor_slabs(&g, &in), 0u, "too little has become free since");
    governor_slabs_read(&g, 500 * MiB + hard / 64);
    cr_expect_eq(governor_slabs(&g, &in), 0u, "that round was not worth what it took");
    struct governor later = g;
    governor_slabs_read(&later, 500 * MiB + hard / 16);
    cr_expect_gt(governor_slabs(&later, &in), 0u, "that is much");
    in.now_ns += 16 * NS_PER_MS;
    cr_expect_gt(governor_slabs(&g, &in), 0u);
}

/* One block may have kept a whole page then, and what is free may have changed since. */
Test(governor_slabs, now_and_then_a_round_is_made_whatever_is_known)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.critical, 500 * MiB);
    gave(&g, &in, 0, 400 * MiB, true);
    cr_expect_eq(governor_slabs(&g, &in), 0u);
    in.now_ns += 5 * NS_PER_S;
    cr_expect_gt(governor_slabs(&g, &in), 0u);
    gave(&g, &in, MiB, 0, false);
    in.usage = l.critical;
    cr_expect_gt(governor_slabs(&g, &in), 0u, "all of it");
    gave(&g, &in, 0, 399 * MiB, true);
    cr_expect_eq(governor_slabs(&g, &in), 0u);
    in.now_ns += 5 * NS_PER_S;
    governor_slabs_read(&g, MiB);
    cr_expect_eq(governor_slabs(&g, &in), 0u, "there is next to nothing free");
}

Test(governor_slabs, what_a_round_has_found_may_have_come_back_before_it_ends)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.critical, 500 * MiB);
    gave(&g, &in, 100 * MiB, 0, false);
    governor_slabs_read(&g, 400 * MiB); /* blocks are handed out again, */
    governor_slabs_read(&g, 500 * MiB); /* and freed */
    gave(&g, &in, 0, 0, true);
    cr_expect_eq(g.slabs_absent, 0u);
    in.usage = l.critical;
    in.now_ns += 16 * NS_PER_MS;
    cr_expect_gt(governor_slabs(&g, &in), 0u);
}

Test(governor_slabs, a_round_over_them_takes_several_calls)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.critical, 500 * MiB);
    gave(&g, &in, 0, 0, false);
    cr_expect_gt(governor_slabs(&g, &in), 0u, "more may be behind it");
    governor_slabs_read(&g, 540 * MiB); /* freed where the round has been already */
    gave(&g, &in, 30 * MiB, 0, true);
    in.usage = l.critical;
    cr_expect_gt(governor_slabs(&g, &in), 0u, "what became free meanwhile may not have been seen");
    gave(&g, &in, 0, 30 * MiB, true);
    cr_expect_eq(governor_slabs(&g, &in), 0u);
}

Test(governor_slabs, what_has_gone_comes_back_as_blocks_are_handed_out)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.critical, 500 * MiB);
    gave(&g, &in, 300 * MiB, 0, true);
    cr_expect_eq(g.slabs_absent, 300 * MiB);
    governor_slabs_read(&g, 400 * MiB);
    cr_expect_eq(g.slabs_absent, 200 * MiB);
    governor_slabs_read(&g, 450 * MiB);
    cr_expect_eq(g.slabs_absent, 200 * MiB, "freed blocks are in memory");
    in.usage = l.critical;
    cr_expect_gt(governor_slabs(&g, &in), 0u);
    governor_slabs_read(&g, 0);
    cr_expect_eq(g.slabs_absent, 0u);
}

/* Between two rounds it is not known which blocks are handed out and freed. */
Test(governor_slabs, each_round_finds_out_what_is_not_in_memory)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.critical, 500 * MiB);
    gave(&g, &in, 300 * MiB, 0, true);
    gave(&g, &in, 20 * MiB, 100 * MiB, false);
    cr_expect_eq(g.slabs_absent, 320 * MiB);
    gave(&g, &in, 0, 30 * MiB, true);
    cr_expect_eq(g.slabs_absent, 150 * MiB);
    const struct governor_slabs_given guess = {.bytes = 350 * MiB, .all = true};
    governor_slabs_done(&g, &guess);
    cr_expect_eq(g.slabs_absent, 500 * MiB, "where it cannot be found out, all may have gone");
    cr_expect_eq(governor_slabs(&g, &in), 0u);
}

/* No count of pages shows when memory comes back. */
Test(governor_slabs, threads_look_while_what_comes_back_may_lead_to_the_line)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.critical, 500 * MiB);
    cr_expect_eq(look_at(&g, &in).look_refilled_ns, 0u);
    gave(&g, &in, 300 * MiB, 0, true);
    cr_expect_eq(look_at(&g, &in).look_refilled_ns, NS_PER_MS);
    in.usage = l.low - in.absent - 1;
    cr_expect_gt(look_at(&g, &in).look_refilled_ns, NS_PER_MS);
    in.on_the_way = 1;
    cr_expect_eq(look_at(&g, &in).look_refilled_ns, NS_PER_MS);
}

/* The limit may be lowered to just above what is used. */
Test(governor_slabs, far_from_the_line_threads_look_as_if_it_were_committed)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = {
        .limits = l, .usage = l.hard / 8, .committed = l.hard / 4, .absent = l.hard / 8};
    cr_expect_eq(look_at(&g, &in).look_refilled_ns, UINT64_MAX);
    cr_expect_leq(look_at(&g, &in).look_after, in.usage / 16, "of what is in memory");
    in.limits.source = LIMITS_MACHINE; /* which nobody lowers */
    cr_expect_eq(look_at(&g, &in).look_refilled_ns, 0u);
    in.limits.source = LIMITS_CGROUP;
    in.absent = in.usage / 40; /* no more than may be committed without a look */
    cr_expect_eq(look_at(&g, &in).look_refilled_ns, 0u);
}

/* Pages that have gone still count as committed. They must not be taken for pages that other
 * threads may touch unseen, nor hide that other processes share the limit. */
Test(governor_slabs, what_has_gone_counts_no_more)
{
    const struct limits l = cgroup_limits(hard);
    struct governor g = new_governor();
    struct governor_input in = with_holes(&g, l.low - 40 * MiB, 400 * MiB);
    in.committed = in.usage + 300 * MiB;
    in.dirty = 20 * MiB;
    cr_expect_gt(look_at(&g, &in).purge, 0u);
    in.absent = 300 * MiB;
    cr_expect_eq(look_at(&g, &in).purge, 0u);
    in.committed = in.usage;
    cr_expect_gt(look_at(&g, &in).look_freed, 0u, "others have taken 300 MiB");
}
