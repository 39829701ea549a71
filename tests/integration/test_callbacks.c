/* Reclaimers are called with a level and a target, and what they give is enough and not too much.
 */
#include "harness.h"

#include <criterion/criterion.h>

TestSuite(callbacks, .init = harness_begin, .fini = harness_end);

enum { TIMEOUT_S = 240, LIMIT_MIB = 300 };

static struct run run_cache(const struct box *box, const char *preload, const char *const *argv)
{
    return run_in((struct run_spec){.box = box, .preload = preload, .argv = argv}, TIMEOUT_S);
}

Test(callbacks, a_cache_without_them_is_killed)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    struct run run =
        run_cache(box, harness_library(),
                  ARGV(harness_program("cache"), "--no-reclaimer", "--seconds", "120"));
    expect_oom_killed(box, &run);
}

Test(callbacks, a_cache_at_full_speed_is_kept_below_the_limit)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    struct run run = run_cache(box, harness_library(),
                               ARGV(harness_program("cache"), "--seconds", "8", "--sample-after-s",
                                    "2", "--from-first-call"));
    cr_assert(run_exited(&run, 0), "%s", run_describe(&run));
    cr_expect(box_oom_kills(box) == 0);
    cr_expect(run_number(&run, "calls") > 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "level") >= 2, "%s", run_describe(&run));
    cr_expect(run_number(&run, "asked_mib") > 0, "%s", run_describe(&run));
    /* Live data counts, not RSS, which lags behind it: the cache is not thrown away. */
    cr_expect(run_number(&run, "min_mib") > LIMIT_MIB / 2, "%s", run_describe(&run));
    cr_expect(run_number(&run, "mean_mib") > LIMIT_MIB * 0.7, "%s", run_describe(&run));
}

Test(callbacks, what_is_freed_is_not_much_more_than_what_was_asked)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    struct run run =
        run_cache(box, harness_library(),
                  ARGV(harness_program("cache"), "--seconds", "6", "--sample-after-s", "1",
                       "--from-first-call", "--rate-mib", "200", "--threads", "2"));
    cr_assert(run_exited(&run, 0), "%s", run_describe(&run));
    double asked = run_number(&run, "asked_mib"), freed = run_number(&run, "freed_mib");
    cr_expect(asked > 0 && freed <= asked * 1.25 + 1, "asked %.0f MiB, freed %.0f MiB", asked,
              freed);
    /* Nor is more asked than was added after the cache had filled up. */
    cr_expect(run_number(&run, "min_mib") > LIMIT_MIB / 2, "%s", run_describe(&run));
    cr_expect(box_oom_kills(box) == 0);
}

/* Called only once per pass, some sixty times a second, the reclaimer would free 2 MiB. */
Test(callbacks, one_that_gives_an_entry_a_call_keeps_up)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    struct run run = run_cache(
        box, harness_library(),
        ARGV(harness_program("cache"), "--call-kib", "4", "--seconds", "8", "--from-first-call"));
    cr_assert(run_exited(&run, 0), "%s", run_describe(&run));
    cr_expect(run_number(&run, "again") > run_number(&run, "calls") / 4, "%s", run_describe(&run));
    cr_expect(run_number(&run, "min_mib") > LIMIT_MIB / 2, "%s", run_describe(&run));
    cr_expect(box_oom_kills(box) == 0);
}

/* 16 threads that each take 2 MiB, when there is room for seven: what they have been given and not
 * yet written to counts. */
Test(callbacks, large_entries_of_many_threads_wait_for_them)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 128 * MIB});
    struct run run = run_cache(box, harness_library(),
                               ARGV(harness_program("cache"), "--threads", "16", "--entry-bytes",
                                    "2000000", "--seconds", "3", "--from-first-call"));
    cr_expect(run_exited(&run, 0), "%s", run_describe(&run));
    cr_expect(box_oom_kills(box) == 0);
}

Test(callbacks, none_are_made_far_from_the_limit)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 600 * MIB});
    struct run run = run_cache(box, harness_library(),
                               ARGV(harness_program("cache"), "--seconds", "4", "--max-mib", "300",
                                    "--sample-after-s", "2"));
    cr_assert(run_exited(&run, 0), "%s", run_describe(&run));
    cr_expect(run_number(&run, "calls") == 0, "%s", run_describe(&run));
}

Test(callbacks, a_program_that_uses_them_runs_without_the_library)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 600 * MIB});
    struct run run =
        run_cache(box, NULL, ARGV(harness_program("cache"), "--seconds", "2", "--max-mib", "100"));
    cr_assert(run_exited(&run, 0), "%s", run_describe(&run));
    cr_expect(run_number(&run, "present") == 0, "%s", run_describe(&run));
}

Test(callbacks, a_removed_reclaimer_says_so)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 600 * MIB});
    struct run run = run_cache(box, harness_library(),
                               ARGV(harness_program("cache"), "--seconds", "1", "--max-mib", "50"));
    cr_assert(run_exited(&run, 0), "%s", run_describe(&run));
    cr_expect(run_number(&run, "present") == 1 && run_number(&run, "id") >= 0, "%s",
              run_describe(&run));
    cr_expect(run_number(&run, "removed") == 0, "%s", run_describe(&run));
}

/* A reclaimer that gives nothing is asked ever more rarely, until the library says that it cannot
 * meet the limit. On slow processors what the program frees meanwhile may look like its gift once
 * or twice: then both start over. At most ten calls in ten seconds; without the wait it would be
 * 500. */
static void expect_left_alone(const char *scenario)
{
    struct run run = scenario_survives("useless", scenario, NULL);
    cr_expect(run_number(&run, "cannot_meet") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "calls") <= 60 + run_number(&run, "asked"), "%s",
              run_describe(&run));
}

Test(callbacks, one_that_gives_nothing_is_left_alone)
{
    expect_left_alone("alone");
}

Test(callbacks, free_pages_are_not_its_gift)
{
    expect_left_alone("beside_free_pages");
}

Test(callbacks, nor_is_it_asked_anew_because_the_program_asked_it)
{
    expect_left_alone("asked");
}

/* The wait after a useless call may be longer than the program has to live, and the reclaimer may
 * now be able to give what it could not give then. */
static void expect_asked_in_time(const char *scenario)
{
    struct run run = scenario_survives("busy", scenario, NULL);
    cr_expect(run_number(&run, "busy_calls") <= 60, "%s", run_describe(&run));
    cr_expect(run_number(&run, "cached_mib") > 40, "no more than was needed: %s",
              run_describe(&run));
}

Test(callbacks, one_that_was_busy_is_asked_again_before_the_kill)
{
    expect_asked_in_time("briefly");
}

Test(callbacks, also_where_the_limit_was_given_up)
{
    expect_asked_in_time("given_up");
}

Test(callbacks, also_before_a_large_request_that_does_not_fit)
{
    expect_asked_in_time("one_request");
}

Test(callbacks, and_again_while_that_waits)
{
    expect_asked_in_time("late");
}

/* Asked for again and again while it frees, but only once in vain. */
Test(callbacks, what_it_frees_slowly_is_not_freed_twice)
{
    expect_asked_in_time("slowly");
}

Test(callbacks, and_before_a_program_is_ended_for_it)
{
    struct run run = scenario_survives("busy", "late", "PLIMSOLL_ON_LIMIT=abort");
    cr_expect(run_number(&run, "cached_mib") > 40, "%s", run_describe(&run));
}

/* A large block's pages go back as the reclaimer frees it: on the watcher's thread, not the
 * caller's. */
Test(callbacks, what_they_free_for_a_call_is_what_the_call_says)
{
    struct run run = scenario_survives("reclaimed", "medium", NULL);
    cr_expect(run_number(&run, "calls") >= 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "gone_mib") >= 60, "%s", run_describe(&run));
    cr_expect(run_number(&run, "said_mib") >= 60, "%s", run_describe(&run));
}

Test(callbacks, those_for_critical_only_are_not_called_for_a_call_below_it)
{
    struct run run = scenario_survives("reclaimed", "critical", NULL);
    cr_expect(run_number(&run, "calls") == 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "said_mib") < 10, "%s", run_describe(&run));
}

/* A wait of 300 ms is in vain where the waiting thread holds the lock that the reclaimer needs. */
Test(callbacks, who_has_the_lock_that_they_need_does_not_wait_for_them_again_and_again)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 128 * MIB});
    struct run run = run_cache(box, harness_library(), ARGV(harness_program("one_lock")));
    cr_assert(run_exited(&run, 0), "%s", run_describe(&run));
    cr_expect(box_oom_kills(box) == 0);
    cr_expect(run_number(&run, "calls") >= 20, "%s", run_describe(&run));
    cr_expect(run_number(&run, "waited_ms") < 100 * run_number(&run, "calls"), "%s",
              run_describe(&run));
}
