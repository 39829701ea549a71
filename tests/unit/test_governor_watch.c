/* When the watcher looks next, and when it sleeps for ever. */
#include "governor_case.h"

#include <criterion/criterion.h>

static const uint64_t hard = GiB;

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

Test(governor_watch, idle_process_with_nothing_to_give_is_never_woken)
{
    cr_expect_eq(idle(100 * MiB, 0, false).watch_after_ns, UINT64_MAX);
    cr_expect_eq(idle(100 * MiB, 2 * MiB - 1, false).watch_after_ns, UINT64_MAX);
    cr_expect_eq(idle(hard, 0, false).watch_after_ns, UINT64_MAX, "also at the limit");
    cr_expect_neq(idle(100 * MiB, 2 * MiB, false).watch_after_ns, UINT64_MAX, "pages can age");
    cr_expect_neq(idle(100 * MiB, 0, true).watch_after_ns, UINT64_MAX, "somebody listens");
    cr_expect_neq(watch_after(100 * MiB, 0, false), UINT64_MAX, "it may not be idle");
}

Test(governor_watch, who_hears_of_pressure_keeps_the_watcher_of_a_heap_that_matters_awake_only)
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

Test(governor_watch, watcher_of_an_idle_heap_waits_for_listeners_only_where_there_is_need)
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

Test(governor_watch, watcher_that_sleeps_for_ever_is_woken_by_the_next_allocation)
{
    cr_expect(idle(100 * MiB, 0, false).dormant);
    cr_expect_not(idle(100 * MiB, 2 * MiB, false).dormant);
    cr_expect_not(idle(MiB, 0, false).dormant, "there is none");
}

Test(governor_watch, watcher_that_sleeps_for_ever_is_woken_by_frees)
{
    cr_expect_eq(idle(100 * MiB, MiB, false).look_freed, 3 * MiB);
    cr_expect_eq(idle(100 * MiB, 2 * MiB, false).look_freed, 0, "it sees them by itself");
}

Test(governor_watch, watcher_looks_the_more_often_the_nearer_the_line)
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
Test(governor_watch, watcher_of_free_pages_that_company_may_soon_need_looks_often)
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

Test(governor_watch, watcher_is_there_once_the_heap_matters)
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
