/* What has been committed and is about to be touched. */
#include "governor_pressed.h"

#include <criterion/criterion.h>

static const uint64_t tick = 10 * NS_PER_MS;

/* A process of 880 MiB, all of it in memory. Other threads have large blocks. */
static struct governor_input full(struct governor *g)
{
    struct governor_input in = input_at(hard, 880 * MiB, 0);
    in.in_memory = in.committed;
    in.lately = GiB;
    cr_assert_eq(governor_in_flight(g, &in), 0u);
    return in;
}

static void touch(struct governor_input *in, uint64_t bytes)
{
    in->usage += bytes;
    in->in_memory += bytes;
}

static uint64_t later(struct governor *g, struct governor_input *in)
{
    in->now_ns += tick;
    return governor_in_flight(g, in);
}

Test(governor_in_flight, what_is_committed_counts_until_it_is_touched)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    in.committed += 100 * MiB;
    cr_expect_eq(later(&g, &in), 100 * MiB);
    touch(&in, 60 * MiB);
    cr_expect_eq(later(&g, &in), 40 * MiB);
    touch(&in, 40 * MiB);
    cr_expect_eq(later(&g, &in), 0u);
}

Test(governor_in_flight, but_no_more_than_other_threads_have_taken)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    in.lately = 30 * MiB;
    in.committed += 100 * MiB;
    cr_expect_eq(later(&g, &in), 30 * MiB);
    in.lately = 0;
    cr_expect_eq(later(&g, &in), 0u);
}

Test(governor_in_flight, requests_that_were_let_through_count)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    in.promised = 30 * MiB;
    cr_expect_eq(later(&g, &in), 30 * MiB);
    in.promised = 0;
    in.committed += 30 * MiB;
    cr_expect_eq(later(&g, &in), 30 * MiB);
    in.promised = 20 * MiB;
    in.in_memory = UNLIMITED;
    cr_expect_eq(later(&g, &in), 20 * MiB, "where nothing more is known");
}

Test(governor_in_flight, what_others_and_files_take_and_give_back_does_not)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    in.usage -= 200 * MiB;
    cr_expect_eq(later(&g, &in), 0u);
    in.usage += 300 * MiB;
    cr_expect_eq(later(&g, &in), 0u);
}

Test(governor_in_flight, nor_do_mappings_that_go)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    touch(&in, 50 * MiB);
    cr_expect_eq(later(&g, &in), 0u);
    in.usage -= 50 * MiB;
    in.in_memory -= 50 * MiB;
    in.lately = 10 * MiB;
    cr_expect_eq(later(&g, &in), 10 * MiB, "no more than was taken");
}

Test(governor_in_flight, nor_does_purging_or_giving_back_in_slabs)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    in.committed += 100 * MiB;
    touch(&in, 100 * MiB);
    cr_expect_eq(later(&g, &in), 0u);
    in.in_memory -= 100 * MiB;
    in.committed -= 100 * MiB;
    cr_expect_eq(later(&g, &in), 0u);
    in.in_memory -= 50 * MiB;
    in.absent = 50 * MiB;
    cr_expect_eq(later(&g, &in), 0u);
}

/* At every look some of it has not been touched yet, and some has just been given back. */
Test(governor_in_flight, what_is_always_in_flight_is_not_taken_for_what_is_never_touched)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    for (uint64_t ns = 0; ns < 5 * NS_PER_S; ns += tick) {
        in.committed += 20 * MiB;
        cr_expect_eq(later(&g, &in), 20 * MiB);
        touch(&in, 20 * MiB);
        (void)later(&g, &in);
        touch(&in, (uint64_t)-20 * MiB); /* purged */
        in.committed -= 20 * MiB;
    }
}

Test(governor_in_flight, memory_that_is_never_touched_does_not_count_for_ever)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    in.committed += 100 * MiB;
    for (uint64_t ns = 0; ns < 5 * NS_PER_S; ns += tick) {
        in.committed += 5 * MiB;
        touch(&in, 5 * MiB);
        (void)later(&g, &in);
    }
    cr_expect_eq(later(&g, &in), 0u);
}

/* For how long it counts where nothing of it is touched, with a look at every tick. */
static uint64_t counts_for(struct governor *g, struct governor_input *in)
{
    uint64_t ns = 0;
    while (ns < NS_PER_S && later(g, in) > 0)
        ns += tick;
    return ns;
}

Test(governor_in_flight, where_nothing_is_touched_nothing_is_in_flight_for_ten_seconds)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    in.committed += 100 * MiB;
    uint64_t ns = counts_for(&g, &in);
    cr_expect(ns >= 100 * NS_PER_MS && ns <= 160 * NS_PER_MS, "%lu", (unsigned long)ns);
    for (ns = 0; ns < 9 * NS_PER_S; ns += tick) {
        in.committed += ns % (2 * tick) == 0 ? 100 * MiB : (uint64_t)-100 * MiB;
        cr_expect_eq(later(&g, &in), 0u);
    }
    for (; ns < 20 * NS_PER_S; ns += 500 * NS_PER_MS) {
        in.now_ns += 500 * NS_PER_MS;
        (void)later(&g, &in);
    }
    in.committed += 100 * MiB;
    cr_expect_gt(later(&g, &in), 0u, "then it is tried again");
}

Test(governor_in_flight, not_where_a_part_of_it_is_touched_all_the_while)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    in.committed += 100 * MiB;
    for (uint64_t ns = 0; ns < 300 * NS_PER_MS; ns += tick) {
        touch(&in, 3 * MiB);
        cr_expect_gt(later(&g, &in), 0u);
    }
}

/* The kernel may stop all threads for long. */
Test(governor_in_flight, nor_where_nobody_looks)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    in.committed += 100 * MiB;
    cr_expect_gt(later(&g, &in), 0u);
    in.now_ns += NS_PER_S;
    cr_expect_gt(later(&g, &in), 0u);
}

/* It takes a system call to know what is in memory. */
Test(governor_in_flight, far_from_the_limit_it_does_not_matter)
{
    struct governor g = new_governor();
    struct governor_input in = full(&g);
    in.lately = 0;
    cr_expect_not(governor_may_be_crowded(&in), "no other thread has taken any");
    in.lately = 10 * MiB;
    cr_expect_not(governor_may_be_crowded(&in), "there is room for so much beyond the wall");
    in.lately = 100 * MiB;
    cr_expect(governor_may_be_crowded(&in));
    in.usage = 400 * MiB;
    cr_expect_not(governor_may_be_crowded(&in));
    in.request = 450 * MiB;
    cr_expect(governor_may_be_crowded(&in));
    in = (struct governor_input){.limits = limits_none, .usage = UNLIMITED};
    cr_expect_not(governor_may_be_crowded(&in), "nor without one");
}

/* --- what follows --- */

static struct governor_input with_in_flight(uint64_t usage, uint64_t bytes)
{
    struct governor_input in = input_at(hard, usage, 0);
    in.in_flight = in.lately = bytes;
    return in;
}

Test(governor_in_flight, threads_wait_where_it_takes_the_room)
{
    struct governor g = new_governor();
    struct governor_input in = with_in_flight(900 * MiB, 100 * MiB);
    cr_expect_eq(look_at(&g, &in).hold_ns, 0u);
    in.in_flight = in.lately = 124 * MiB;
    struct governor_decision d = look_at(&g, &in);
    cr_expect_eq(d.hold_ns, 100 * NS_PER_MS);
    cr_expect(d.for_threads);
    cr_expect_not(d.no_room, "nothing is refused for it");
    in.swap_room = hard;
    cr_expect_eq(look_at(&g, &in).hold_ns, 0u);
    in.swap_room = 0;
    in.alone = true;
    cr_expect_eq(look_at(&g, &in).hold_ns, 0u, "that was in vain");
    in.committed = in.usage / 2;
    cr_expect_eq(look_at(&g, &in).hold_ns, 0u, "nor do other processes free for it");
}

Test(governor_in_flight, with_a_large_request_they_wait_for_their_turn)
{
    struct governor g = new_governor();
    struct governor_input in = with_in_flight(900 * MiB, 100 * MiB);
    in.request = 30 * MiB;
    struct governor_decision d = look_at(&g, &in);
    cr_expect_eq(d.hold_ns, NS_PER_S);
    cr_expect(d.in_turn);
    in.usage = 1000 * MiB;
    in.in_flight = 0;
    cr_expect_eq(look_at(&g, &in).hold_ns, 500 * NS_PER_MS,
                 "others may free what they have touched");
    g.flight_none_until_ns = in.now_ns + NS_PER_S;
    cr_expect_eq(look_at(&g, &in).hold_ns, 5 * NS_PER_MS, "but not what they never touch");
    g.flight_none_until_ns = 0;
    in.alone = true;
    d = look_at(&g, &in);
    cr_expect_eq(d.hold_ns, 5 * NS_PER_MS);
    cr_expect_not(d.in_turn);
}

/* Which the kernel can drop in a moment; it is 1 ms where nothing else takes the room. */
Test(governor_in_flight, page_cache_on_its_way_as_well_shortens_no_wait)
{
    struct governor g = new_governor();
    struct governor_input in = with_in_flight(900 * MiB, 100 * MiB);
    in.request = 30 * MiB;
    in.on_the_way = 80 * MiB;
    cr_expect_eq(look_at(&g, &in).hold_ns, NS_PER_S);
    in.in_flight = 0;
    cr_expect_eq(look_at(&g, &in).hold_ns, NS_PER_MS);
}

Test(governor_in_flight, small_requests_do_not_wait_for_little)
{
    struct governor g = new_governor();
    struct governor_input in = with_in_flight(hard - 15 * MiB, 20 * MiB);
    cr_expect_eq(look_at(&g, &in).hold_ns, 100 * NS_PER_MS);
    in.in_flight = MiB;
    cr_expect_eq(look_at(&g, &in).hold_ns, 5 * NS_PER_MS);
}

Test(governor_in_flight, but_not_where_others_have_too_little_to_free)
{
    struct governor g = new_governor();
    struct governor_input in = with_in_flight(1000 * MiB, 0);
    in.lately = 2 * MiB;
    in.request = 30 * MiB;
    struct governor_decision d = look_at(&g, &in);
    cr_expect_eq(d.hold_ns, 5 * NS_PER_MS);
    cr_expect_not(d.for_threads);
}

Test(governor_in_flight, nor_with_a_request_for_more_than_the_limit)
{
    struct governor g = new_governor();
    struct governor_input in = with_in_flight(900 * MiB, 100 * MiB);
    in.request = 2 * hard;
    struct governor_decision d = look_at(&g, &in);
    cr_expect_eq(d.hold_ns, 0u);
    cr_expect_not(d.in_turn);
}

Test(governor_in_flight, reclaimers_are_asked_for_it)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(850 * MiB, 0);
    cr_expect_not(look_at(&g, &in).callbacks_due);
    in.in_flight = in.lately = 100 * MiB;
    struct governor_decision d = look_at(&g, &in);
    cr_expect(d.callbacks_due);
    cr_expect_not(d.wanting, "but it may never be touched: the program is told of no shortage");
    cr_expect_geq(governor_target(&g, &in, 850 * MiB), 950 * MiB - in.limits.soft);
}

/* Threads wait there, and much of it may never be touched. */
Test(governor_in_flight, for_what_leads_up_to_the_wall)
{
    struct governor g = new_governor();
    struct governor_input in = pressed(850 * MiB, 0);
    in.in_flight = in.lately = 900 * MiB;
    (void)look_at(&g, &in);
    cr_expect_leq(governor_target(&g, &in, 850 * MiB), hard - in.limits.soft + hard / 100);
}

/* --- what the purge gives --- */

/* Other threads are just giving the rest back. */
Test(governor_in_flight, free_pages_that_the_purge_did_not_give_are_no_room)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, 1000 * MiB, 200 * MiB);
    in.request = 30 * MiB;
    in.lately = 100 * MiB;
    struct governor_decision d = look_at(&g, &in);
    cr_expect_eq(d.hold_ns, 0u);
    cr_expect_geq(d.look_after, in.request);
    governor_gave(&g, &in, 200 * MiB, &d);
    cr_expect_eq(d.hold_ns, 0u);
    governor_gave(&g, &in, 0, &d);
    cr_expect_eq(d.hold_ns, 500 * NS_PER_MS);
    cr_expect_lt(d.look_after, in.request);
}

Test(governor_in_flight, looks_come_sooner_and_others_get_less_meanwhile)
{
    struct governor_input in = input_at(hard, 700 * MiB, 0);
    struct governor g = new_governor();
    uint64_t step = look_at(&g, &in).look_after, meanwhile = governor_meanwhile(&in);
    in.in_flight = 290 * MiB;
    cr_expect_lt(look_at(&g, &in).look_after, step);
    cr_expect_lt(governor_meanwhile(&in), meanwhile);
}

/* Whoever comes next must not take for room what this one waits for. */
Test(governor_in_flight, a_request_that_waits_does_not_put_the_next_look_off)
{
    struct governor g = new_governor();
    struct governor_input in = with_in_flight(900 * MiB, 0);
    in.request = 30 * MiB;
    cr_expect_geq(look_at(&g, &in).look_after, in.request);
    in.in_flight = in.lately = 100 * MiB;
    cr_expect_lt(look_at(&g, &in).look_after, in.request);
}
