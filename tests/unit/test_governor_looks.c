/* When the next look is due, by committed bytes and by time; odd limits and extreme numbers. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

static struct governor_decision decide(uint64_t usage, uint64_t dirty, uint64_t request)
{
    struct governor g = new_governor();
    struct governor_input in = rested_at(&g, hard, usage, dirty);
    in.request = request;
    return look_at(&g, &in);
}

/* --- by committed bytes --- */

/* The usage that can be reached before the next look is due. */
static uint64_t next_usage(uint64_t usage, uint64_t request)
{
    return usage + decide(usage, 0, request).look_after;
}

Test(governor_looks, no_line_is_crossed_unseen)
{
    const struct limits l = cgroup_limits(hard);
    const uint64_t lines[] = {l.low, l.soft, l.critical};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        for (uint64_t usage = 0; usage < lines[i]; usage += 511 * KiB)
            cr_assert_leq(next_usage(usage, 0), lines[i] + MiB, "line %zu from %zu KiB", i,
                          (size_t)(usage / KiB));
}

Test(governor_looks, lines_far_apart_are_not_crossed_unseen_either)
{
    struct options o = default_options();
    o.wish.value = 40 * 1000; /* percent: leaves a wide stretch up to the hard limit */
    const struct limits l = limits_from_hard(LIMITS_CGROUP, 64 * GiB, &o.wish);
    const uint64_t lines[] = {l.low, l.soft, l.critical};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        for (uint64_t usage = 0; usage < lines[i]; usage += 37 * MiB) {
            struct governor g = new_governor();
            struct governor_input in = {
                .now_ns = START_NS, .limits = l, .usage = usage, .committed = usage};
            cr_assert_leq(usage + look_at(&g, &in).look_after, lines[i] + MiB,
                          "line %zu from %zu MiB", i, (size_t)(usage / MiB));
        }
}

Test(governor_looks, step_is_at_most_an_eighth_of_the_room_and_clamped)
{
    const uint64_t hards[] = {32 * MiB, 256 * MiB, GiB, 64 * GiB, 4096 * GiB};
    for (size_t i = 0; i < ARRAY_LEN(hards); i++)
        for (unsigned tenths = 0; tenths <= 1100; tenths++) {
            uint64_t usage = of_percent(hards[i], tenths);
            struct governor g = new_governor();
            struct governor_input in = input_at(hards[i], usage, 0);
            uint64_t step = look_at(&g, &in).look_after;
            cr_assert_leq(step, 64 * MiB);
            cr_assert_geq(step, 128 * KiB);
            cr_assert_leq(step, u64_max(u64_less(hards[i], usage) / 8, MiB));
        }
}

Test(governor_looks, purging_now_makes_the_next_look_later)
{
    const struct limits l = cgroup_limits(hard);
    uint64_t with = decide(l.critical, 500 * MiB, 0).look_after;
    uint64_t without = decide(l.critical, 0, 0).look_after;
    cr_expect_gt(with, without);
}

Test(governor_looks, small_heap_looks_as_it_grows)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(64 * GiB, 0, 0);
    in.committed = 2 * MiB;
    cr_expect_leq(look_at(&g, &in).look_after, 4 * MiB);
    in.committed = 40 * MiB;
    cr_expect_leq(look_at(&g, &in).look_after, 10 * MiB);
}

Test(governor_looks, what_was_requested_does_not_use_up_the_step)
{
    uint64_t plain = decide(100 * MiB, 0, 0).look_after;
    uint64_t more = decide(100 * MiB, 0, 200 * MiB).look_after;
    cr_expect_gt(more, 200 * MiB);
    cr_expect_leq(more, 200 * MiB + plain);
}

Test(governor_looks, request_larger_than_the_room_does_not_put_off_the_next_look)
{
    const uint64_t requests[] = {hard - MiB, hard,           10 * hard,
                                 INT64_MAX,  UINT64_MAX / 2, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct governor_decision d = decide(500 * MiB, 0, requests[i]);
        cr_expect(d.no_room, "request %zu", i);
        cr_expect_leq(d.look_after, hard - 500 * MiB,
                      "request %zu: it may fail, and then nothing "
                      "has been committed",
                      i);
    }
}

/* --- no room --- */

Test(governor_looks, there_is_room_until_the_wall)
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

static uint64_t hold(struct governor_input in)
{
    struct governor g = new_governor();
    return look_at(&g, &in).hold_ns;
}

Test(governor_looks, threads_are_held_only_while_somebody_may_free)
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
Test(governor_looks, where_swap_is_left_nobody_is_refused_nor_waits_but_for_reclaimers)
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
Test(governor_looks, those_who_waited_for_reclaimers_go_on_by_one_step_in_all)
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

Test(governor_looks, a_look_lets_others_on_by_half_of_the_room_before_the_wall)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(300 * MiB, 280 * MiB, 0);
    uint64_t far = governor_meanwhile(&in);
    cr_expect_gt(far, 5 * MiB);
    cr_expect_lt(far, 8 * MiB);
    while (!look_at(&g, &in).no_room)
        in.usage = in.committed = in.usage + MiB / 4;
    cr_expect_lt(in.usage, in.limits.hard - MiB);
    cr_expect_eq(governor_meanwhile(&in), 0u);
    in.limits = (struct limits){.source = LIMITS_NONE};
    cr_expect_gt(governor_meanwhile(&in), 1024 * MiB);
}

/* --- page cache on its way from a disk --- */

static struct governor_input beside_readers(uint64_t usage)
{
    struct governor_input in = input_at(100 * MiB, usage, MiB);
    in.on_the_way = 8 * MiB;
    return in;
}

/* A heap that only reuses the memory it has does not get in the way. */
Test(governor_looks, what_is_on_its_way_takes_no_free_pages_and_raises_no_level)
{
    struct governor g = new_governor();
    struct governor_input in = beside_readers(80 * MiB);
    struct governor_decision d = look_at(&g, &in);
    cr_expect_eq(d.level, PLIM_NORMAL);
    cr_expect_eq(d.purge, 0u);
    cr_expect_eq(d.hold_ns, 0u);
    cr_expect_not(d.callbacks_due);
}

Test(governor_looks, growth_waits_for_what_is_on_its_way)
{
    struct governor_input in = beside_readers(92 * MiB);
    in.dirty = 0;
    cr_expect_eq(hold(in), NS_PER_MS, "the kernel can drop it in a moment");
    in.reclaimers = 1;
    cr_expect_eq(hold(in), NS_PER_S, "and they give room as well");
    in.on_the_way = 0;
    in.reclaimers = 0;
    cr_expect_eq(hold(in), 0u);
}

/* What other threads take while reclaimers run needs the same room with page cache on its way as
 * without. */
Test(governor_looks, reclaimers_give_back_by_what_is_on_its_way)
{
    struct governor g = new_governor();
    struct governor_input in = beside_readers(83 * MiB);
    in.reclaimers = 1;
    in.dirty = 0;
    struct governor_decision d = look_at(&g, &in);
    cr_expect(d.callbacks_due);
    cr_expect_eq(d.hold_ns, 0u);
    cr_expect_eq(governor_target(&g, &in, in.usage), 2 * MiB);
    in.usage = 88 * MiB;
    cr_expect_eq(hold(in), 300 * NS_PER_MS, "as from critical on");
    in.held = 1;
    in.listeners = true;
    cr_expect_eq(look_at(&g, &in).watch_after_ns, 20 * NS_PER_MS, "somebody waits for them");
    in.on_the_way = 0;
    cr_expect_not(look_at(&g, &in).callbacks_due);
    cr_expect_eq(hold(in), 0u);
}

/* Listeners to pressure in general are told only of memory that cannot be dropped. */
Test(governor_looks, listeners_do_not_hear_of_what_is_on_its_way)
{
    struct governor g = new_governor();
    struct governor_input in = beside_readers(88 * MiB);
    in.dirty = 0;
    cr_expect_not(look_at(&g, &in).wanting);
    in.usage = 91 * MiB;
    cr_expect(look_at(&g, &in).wanting);
}

/* Page cache on its way still counts as room. */
Test(governor_looks, nothing_is_refused_for_what_is_on_its_way)
{
    struct governor g = new_governor();
    struct governor_input in = beside_readers(94 * MiB);
    cr_expect_not(look_at(&g, &in).no_room);
    in.usage = 99 * MiB;
    in.dirty = 0;
    cr_expect(look_at(&g, &in).no_room);
}

Test(governor_looks, what_is_on_its_way_brings_looks_and_ends_others_sooner)
{
    struct governor g = new_governor(), h = new_governor();
    struct governor_input in = beside_readers(88 * MiB), without = in;
    without.on_the_way = 0;
    cr_expect_lt(look_at(&g, &in).look_after, look_at(&h, &without).look_after);
    cr_expect_lt(governor_meanwhile(&in), governor_meanwhile(&without));
}

/* A thread may lose the CPU in the middle of a look, and go on with the old limit. */
Test(governor_looks, step_and_what_others_may_take_in_a_look_stay_within_a_tenth_of_the_heap)
{
    for (uint64_t used = 40 * MiB; used < 20 * GiB; used += used / 3) {
        struct governor g = new_governor();
        struct governor_input in = input_at(64 * GiB, used, 0);
        uint64_t step = look_at(&g, &in).look_after;
        cr_expect_leq(step + governor_meanwhile(&in), used / 10, "%llu MiB",
                      (unsigned long long)(used / MiB));
    }
}

Test(governor_looks, nobody_is_held_for_what_can_never_fit)
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

/* --- by time --- */

static uint64_t watch_after(uint64_t usage, uint64_t dirty, bool listeners)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, usage, dirty);
    in.listeners = listeners;
    return look_at(&g, &in).watch_after_ns;
}

/* The decision once the watcher has seen no change for a while. */
static struct governor_decision idle(uint64_t usage, uint64_t dirty, bool listeners)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, usage, dirty);
    in.listeners = listeners;
    in.from_watcher = true;
    (void)look_at(&g, &in);
    in.now_ns += 4 * NS_PER_S;
    return look_at(&g, &in);
}

Test(governor_looks, idle_process_with_nothing_to_give_is_never_woken)
{
    cr_expect_eq(idle(100 * MiB, 0, false).watch_after_ns, UINT64_MAX);
    cr_expect_eq(idle(100 * MiB, 2 * MiB - 1, false).watch_after_ns, UINT64_MAX);
    cr_expect_eq(idle(hard, 0, false).watch_after_ns, UINT64_MAX, "also at the limit");
    cr_expect_neq(idle(100 * MiB, 2 * MiB, false).watch_after_ns, UINT64_MAX, "pages can age");
    cr_expect_neq(idle(100 * MiB, 0, true).watch_after_ns, UINT64_MAX, "somebody listens");
    cr_expect_neq(watch_after(100 * MiB, 0, false), UINT64_MAX, "it may not be idle");
}

Test(governor_looks, who_hears_of_pressure_keeps_the_watcher_of_a_heap_that_matters_awake_only)
{
    static const struct {
        uint64_t committed;
        bool matters;
    } cases[] = {{MiB, false}, {100 * MiB, true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct governor g = new_governor();
        struct governor_input in = input_at(hard, cases[i].committed, 0);
        in.heard = in.from_watcher = true;
        (void)look_at(&g, &in);
        in.now_ns += 4 * NS_PER_S;
        struct governor_decision d = look_at(&g, &in);
        cr_expect_eq(d.heap_matters, cases[i].matters);
        cr_expect_eq(d.watch_after_ns != UINT64_MAX, cases[i].matters);
    }
}

Test(governor_looks, watcher_of_an_idle_heap_waits_for_listeners_only_where_there_is_need)
{
    const struct limits l = cgroup_limits(hard);
    for (unsigned i = 0; i < 4; i++) {
        struct governor g = new_governor();
        struct governor_input in = input_at(hard, i & 1 ? l.soft : l.soft - 1, 0);
        in.from_watcher = true;
        in.offered = (i & 2) != 0;
        (void)look_at(&g, &in);
        in.now_ns += 4 * NS_PER_S;
        cr_expect_eq(look_at(&g, &in).watch_after_ns, i == 3 ? NS_PER_S : UINT64_MAX);
    }
}

Test(governor_looks, watcher_that_sleeps_for_ever_is_woken_by_the_next_allocation)
{
    cr_expect(idle(100 * MiB, 0, false).dormant);
    cr_expect_not(idle(100 * MiB, 2 * MiB, false).dormant);
    cr_expect_not(idle(MiB, 0, false).dormant, "there is none");
}

Test(governor_looks, watcher_that_sleeps_for_ever_is_woken_by_frees)
{
    cr_expect_eq(idle(100 * MiB, MiB, false).look_freed, 3 * MiB);
    cr_expect_eq(idle(100 * MiB, 2 * MiB, false).look_freed, 0, "it sees them by itself");
}

Test(governor_looks, watcher_looks_the_more_often_the_nearer_the_line)
{
    const struct limits l = cgroup_limits(hard);
    cr_expect_eq(watch_after(MiB, 0, true), NS_PER_S);
    cr_expect_eq(watch_after(l.low, 0, true), 100 * NS_PER_MS);
    cr_expect_leq(watch_after(l.soft, 0, true), 20 * NS_PER_MS);
    uint64_t before = UINT64_MAX;
    for (uint64_t usage = 0; usage <= hard; usage += MiB) {
        uint64_t after = watch_after(usage, 64 * MiB, false);
        cr_assert_leq(after, before, "at %zu MiB", (size_t)(usage / MiB));
        cr_assert_geq(after, 10 * NS_PER_MS);
        before = after;
    }
}

/* Usage is below the middle still, but a burst of another process would reach the line within a
 * second. */
Test(governor_looks, watcher_of_free_pages_that_company_may_soon_need_looks_often)
{
    static const struct {
        uint64_t hard, usage, committed, dirty;
        bool often;
    } cases[] = {
        {GiB, 256 * MiB, 50 * MiB, 8 * MiB, true},
        {GiB, 255 * MiB, 50 * MiB, 8 * MiB, false},       /* far from the line */
        {GiB, 256 * MiB, 50 * MiB, 3 * MiB, false},       /* too few free pages to matter */
        {100 * MiB, 40 * MiB, 5 * MiB, MiB, false},       /* too few as well */
        {GiB, 255 * MiB, 254 * MiB, 8 * MiB, false},      /* no other process, and far */
        {GiB, 256 * MiB, 255 * MiB, 8 * MiB, true},       /* others may come, and this be freed */
        {4 * GiB, 2047 * MiB, 50 * MiB, 99 * MiB, false}, /* the line is more than a second away */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct governor g = new_governor();
        struct governor_input in = input_at(cases[i].hard, cases[i].usage, cases[i].dirty);
        in.committed = cases[i].committed;
        cr_expect_eq(look_at(&g, &in).watch_after_ns, cases[i].often ? 100 * NS_PER_MS : NS_PER_S,
                     "case %zu", i);
    }
}

Test(governor_looks, room_at_another_level_bounds_the_step_and_what_goes_on_meanwhile)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(16 * GiB, 12 * GiB, 0);
    in.committed = in.active = GiB;
    uint64_t step = look_at(&g, &in).look_after, meanwhile = governor_meanwhile(&in);
    in.nearer = 4 * GiB - 80 * MiB;
    cr_expect_eq(look_at(&g, &in).look_after, 10 * MiB, "an eighth of it");
    cr_expect_gt(step, 10 * MiB);
    in.nearer = 4 * GiB - 20 * MiB;
    cr_expect_lt(governor_meanwhile(&in), meanwhile);
}

Test(governor_looks, watcher_is_there_once_the_heap_matters)
{
    struct governor g = new_governor();
    struct governor_input in = input_at(hard, 10 * MiB, 0);
    cr_expect_not(look_at(&g, &in).heap_matters);
    in.listeners = true;
    cr_expect(look_at(&g, &in).heap_matters);
    in.listeners = false;
    in.committed = in.usage = hard / 16;
    cr_expect(look_at(&g, &in).heap_matters);
    in.committed = 4 * MiB;
    in.usage = hard / 2;
    cr_expect(look_at(&g, &in).heap_matters, "a small part of a group that is half full");
    in.committed = MiB;
    cr_expect_not(look_at(&g, &in).heap_matters);
}

/* --- odd limits --- */

static struct governor_decision look_under(struct limits l, uint64_t usage, uint64_t dirty)
{
    struct governor g = new_governor();
    struct governor_input in = {
        .now_ns = START_NS, .limits = l, .usage = usage, .committed = usage, .dirty = dirty};
    return look_at(&g, &in);
}

Test(governor_looks, without_a_limit_nothing_is_done)
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

Test(governor_looks, level_ends_when_the_limit_goes)
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

Test(governor_looks, limit_of_32_mib_works)
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

Test(governor_looks, limits_too_small_to_live_in_are_at_the_wall)
{
    const uint64_t tiny[] = {1, 2, 4096, 100 * KiB, 511 * KiB, MiB};
    for (size_t i = 0; i < ARRAY_LEN(tiny); i++) {
        struct governor_decision d = look_under(cgroup_limits(tiny[i]), 8 * MiB, 4 * MiB);
        cr_expect_eq(d.level, PLIM_CRITICAL);
        cr_expect(d.no_room, "limit %zu", (size_t)tiny[i]);
        cr_expect_eq(d.purge, UINT64_MAX, "limit %zu", (size_t)tiny[i]);
    }
}

Test(governor_looks, extreme_numbers_do_not_wrap)
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

Test(governor_looks, vast_limits_do_not_wrap)
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

Test(governor_looks, clock_that_stands_still_or_goes_back_does_no_harm)
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
