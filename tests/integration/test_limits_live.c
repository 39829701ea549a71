/* Limits that change while the program runs are followed, both ways. */
#include "harness.h"

#include "sys.h"

#include <criterion/criterion.h>

TestSuite(limits_live, .init = harness_begin, .fini = harness_end);

/* By design limits are honoured within about 1 s; far more is allowed here, so that only a limit
 * that is never honoured fails. */
enum { HONOURED_S = 20, RUN_S = 60 };

struct wait_for {
    struct run *run;
    const struct box *box;
    const char *key;
    double from, to;
};

static bool number_is_within(void *arg)
{
    struct wait_for *wait = arg;
    double value = run_number(wait->run, wait->key);
    return value >= wait->from && value <= wait->to;
}

static bool usage_is_within(void *arg)
{
    struct wait_for *wait = arg;
    double mib = (double)(box_usage(wait->box) / MIB);
    return mib >= wait->from && mib <= wait->to;
}

/* Starts a cache that grows to max_mib and then idles. */
static struct run start_cache(const struct box *box, const char *max_mib, const char *rate_mib,
                              const char *limit)
{
    struct run run = run_start((struct run_spec){
        .box = box,
        .preload = harness_library(),
        .env = limit ? ARGV(limit) : NULL,
        .argv = ARGV(harness_program("cache"), "--seconds", "3600", "--max-mib", max_mib,
                     "--rate-mib", rate_mib),
    });
    return run;
}

static void expect_number(struct run *run, const char *key, double from, double to)
{
    struct wait_for wait = {.run = run, .key = key, .from = from, .to = to};
    cr_expect(eventually(HONOURED_S, number_is_within, &wait), "%s=%.0f, not within %.0f..%.0f: %s",
              key, run_number(run, key), from, to, run_describe(run));
}

static void expect_usage(struct run *run, const struct box *box, double from, double to)
{
    struct wait_for wait = {.box = box, .from = from, .to = to};
    cr_expect(eventually(HONOURED_S, usage_is_within, &wait), "usage %d MiB: %s",
              (int)(box_usage(box) / MIB), run_describe(run));
}

Test(limits_live, a_lowered_limit_makes_an_idle_cache_shrink)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 600 * MIB});
    struct run run = start_cache(box, "200", "300", NULL);
    expect_usage(&run, box, 200, 260);
    expect_number(&run, "calls", 0, 0);
    /* 90 % of 230 MiB is less than the cache holds. */
    cr_assert(box_set_memory(box, 230 * MIB) == 0, "usage %d MiB", (int)(box_usage(box) / MIB));
    expect_usage(&run, box, 1, 210);
    expect_number(&run, "calls", 1, 1e6);
    run_stop(&run);
    cr_expect(box_oom_kills(box) == 0);
}

Test(limits_live, a_raised_limit_lets_a_cache_grow)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 150 * MIB});
    struct run run = start_cache(box, "300", "300", NULL);
    expect_number(&run, "calls", 1, 1e9);
    cr_expect(box_usage(box) < 150 * MIB);
    cr_assert(box_set_memory(box, 500 * MIB) == 0);
    expect_usage(&run, box, 295, 400);
    run_stop(&run);
    cr_expect(box_oom_kills(box) == 0);
}

Test(limits_live, a_limit_that_comes_to_an_ancestor_is_seen)
{
    struct box *outer = box_new(NULL, (struct box_limits){0});
    struct box *inner = box_new(outer, (struct box_limits){.memory = 800 * MIB});
    struct run run = start_cache(inner, "200", "300", NULL);
    expect_usage(&run, inner, 200, 260);
    cr_assert(box_set_memory(outer, 230 * MIB) == 0);
    expect_usage(&run, inner, 1, 210);
    run_stop(&run);
    cr_expect(box_oom_kills(outer) == 0);
}

Test(limits_live, a_removed_limit_lets_a_cache_grow)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 150 * MIB});
    struct run run = start_cache(box, "300", "300", NULL);
    expect_number(&run, "calls", 1, 1e9);
    cr_assert(box_set_memory(box, NO_LIMIT) == 0);
    expect_usage(&run, box, 295, 400);
    run_stop(&run);
}

/* The cache grows at a rate that a slow machine reaches as well: so far from the hard limit no
 * thread is made to wait. */
Test(limits_live, a_soft_limit_in_bytes_stays_when_the_hard_one_rises)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 400 * MIB});
    struct run run = start_cache(box, "300", "20", "PLIMSOLL_LIMIT=120Mi");
    expect_number(&run, "calls", 1, 1e9);
    cr_assert(box_set_memory(box, 800 * MIB) == 0);
    sleep_ms(2000);
    /* The cache wants 300 MiB and still cannot have them: it is asked again and again. */
    expect_number(&run, "calls", run_number(&run, "calls") + 3, 1e9);
    expect_usage(&run, box, 1, 160);
    run_stop(&run);
}

Test(limits_live, memory_high_lowered_makes_an_idle_cache_shrink)
{
    if (harness_version() != 2)
        cr_skip_test("memory.high is of cgroup v2: tested on the v2 kernel");
    struct box *box = box_new(NULL, (struct box_limits){.memory = 600 * MIB});
    struct run run = start_cache(box, "200", "300", NULL);
    expect_usage(&run, box, 200, 260);
    cr_assert(box_set_high(box, 230 * MIB) == 0);
    expect_usage(&run, box, 1, 225);
    expect_number(&run, "calls", 1, 1e6);
    run_stop(&run);
}

/* Raises the quota to as many CPUs as the test itself may use. */
Test(limits_live, a_changed_cpu_quota_is_followed)
{
    unsigned affinity = sys_affinity_cpus();
    if (affinity < 2)
        cr_skip_test("with one CPU no quota changes anything");
    struct box *box = box_new(NULL, (struct box_limits){.memory = 400 * MIB, .cpu_percent = 100});
    struct run run = start_cache(box, "20", "300", NULL);
    expect_number(&run, "cpus", 1, 1);
    box_set_cpu(box, affinity * 100);
    expect_number(&run, "cpus", affinity, affinity);
    box_set_cpu(box, 50);
    expect_number(&run, "cpus", 1, 1);
    run_stop(&run);
}

Test(limits_live, a_move_to_another_cgroup_is_followed)
{
    struct box *wide = box_new(NULL, (struct box_limits){.memory = 600 * MIB});
    struct box *small = box_new(NULL, (struct box_limits){.memory = 200 * MIB});
    struct run run = run_start(
        (struct run_spec){.box = wide,
                          .preload = harness_library(),
                          .argv = ARGV(harness_program("watched"), "limits", "--heap-mib", "30")});
    expect_number(&run, "soft_mib", 540, 540);
    run_move(&run, small);
    expect_number(&run, "soft_mib", 180, 180);
    run_move(&run, wide);
    expect_number(&run, "soft_mib", 540, 540);
    run_stop(&run);
}

/* What was charged before the move stays with the old cgroup, in both versions of cgroups. */
Test(limits_live, a_move_to_a_smaller_cgroup_is_survived_at_full_speed)
{
    struct box *wide = box_new(NULL, (struct box_limits){.memory = 600 * MIB});
    struct box *small = box_new(NULL, (struct box_limits){.memory = 140 * MIB});
    struct run run =
        run_start((struct run_spec){.box = wide,
                                    .preload = harness_library(),
                                    .argv = ARGV(harness_program("phases"), "--threads", "4",
                                                 "--live-mib", "120", "--rounds", "100000")});
    expect_usage(&run, wide, 90, 600);
    run_move(&run, small);
    sleep_ms(3000);
    cr_expect(box_usage(small) > MIB, "nothing was charged to it");
    run_stop(&run);
    cr_expect(box_oom_kills(wide) == 0 && box_oom_kills(small) == 0, "%s", run_describe(&run));
}

/* Starts a program with 150 MiB live, all of which it replaces every two seconds. */
static struct run start_churning(const struct box *box)
{
    struct run run = run_start(
        (struct run_spec){.box = box,
                          .preload = harness_library(),
                          .argv = ARGV(harness_program("grow"), "--free-first-mib", "50", "--mib",
                                       "150", "--hold-s", "3600", "--churn-mib", "75")});
    expect_number(&run, "grown", 1, 1);
    return run;
}

static void expect_churning(struct run *run)
{
    double churned = run_number(run, "churned_mib");
    expect_number(run, "churned_mib", churned + 150, 1e12);
}

/* Each limit is a tenth above what is used. */
Test(limits_live, a_limit_lowered_step_by_step_is_survived_at_work)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 600 * MIB});
    struct run run = start_churning(box);
    for (int step = 0; step < 3; step++) {
        uint64_t limit = (box_usage(box) - box_page_cache(box)) / 10 * 11;
        if (step == 2 && limit > 165 * MIB)
            limit = 165 * MIB; /* a tenth above what is live */
        cr_assert(box_set_memory(box, limit) == 0, "usage %d MiB", (int)(box_usage(box) / MIB));
        expect_churning(&run);
        expect_usage(&run, box, 150, (double)(limit / MIB));
    }
    run_stop(&run);
    cr_expect(box_oom_kills(box) == 0, "usage was %s", run_describe(&run));
}

Test(limits_live, a_limit_raised_again_is_followed_at_work)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 170 * MIB});
    struct run run = start_churning(box);
    expect_churning(&run);
    cr_assert(box_set_memory(box, 600 * MIB) == 0);
    expect_number(&run, "level", 0, 0);
    expect_churning(&run);
    run_stop(&run);
    cr_expect(box_oom_kills(box) == 0);
}

/* The limit is lowered to about the usage, with many free pages in the heap: they are given back,
 * and nothing is killed. */
Test(limits_live, a_lowered_limit_gives_free_pages_back)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 900 * MIB});
    struct run run = run_start((struct run_spec){
        .box = box,
        .preload = harness_library(),
        .argv = ARGV(harness_program("grow"), "--free-first-mib", "400", "--mib", "60", "--hold-s",
                     "3600"),
    });
    struct wait_for wait = {.run = &run, .key = "grown", .from = 1, .to = 1};
    cr_assert(eventually(RUN_S, number_is_within, &wait), "%s", run_describe(&run));
    uint64_t limit = box_usage(box) + 16 * MIB;
    if (limit < 150 * MIB)
        limit = 150 * MIB; /* the free pages were given back already */
    cr_assert(box_set_memory(box, limit) == 0);
    expect_usage(&run, box, 60, 140);
    run_stop(&run);
    cr_expect(box_oom_kills(box) == 0);
}
