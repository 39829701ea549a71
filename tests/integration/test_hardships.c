/* What may happen to programs besides allocating: it must neither get them killed nor spoil
 * anything of theirs. */
#include "harness.h"

#include <criterion/criterion.h>

TestSuite(hardships, .init = harness_begin, .fini = harness_end);

static void expect_limit_known(const char *scenario)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "hardships", scenario, NULL);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "hard_mib") == SCENARIO_MIB, "%s", run_describe(&run));
}

Test(hardships, no_descriptor_is_left)
{
    expect_limit_known("descriptors");
}

static void expect_low_numbers(const char *scenario)
{
    struct run run = scenario_survives("hardships", scenario, NULL);
    cr_expect(run_number(&run, "hard_mib") == SCENARIO_MIB, "%s", run_describe(&run));
    cr_expect(run_number(&run, "low") == 64, "%s", run_describe(&run));
}

Test(hardships, few_descriptors_are_the_programs)
{
    expect_low_numbers("numbers_to_63");
    expect_low_numbers("numbers_to_3");
}

Test(hardships, the_root_directory_is_an_empty_one)
{
    expect_limit_known("chroot");
}

Test(hardships, the_root_of_a_child_is_an_empty_one_while_the_parent_grows)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "hardships", "child_chroot", NULL);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "usage_mib") >= 120, "%s", run_describe(&run));
}

/* usage_mib is the child's own usage: at first, what it shares with its parent. */
Test(hardships, the_root_of_a_child_is_an_empty_one_under_a_limit_of_its_own)
{
    struct run run = scenario_run(NULL, "hardships", "child_chroot", "PLIMSOLL_LIMIT=200Mi");
    double usage = run_number(&run, "usage_mib");
    cr_expect(run_exited(&run, 0) && usage >= 25 && usage <= 100, "%s", run_describe(&run));
}

Test(hardships, the_first_thread_has_ended)
{
    expect_limit_known("first_ended");
}

/* The process's own usage is read from another file then. */
Test(hardships, the_first_thread_has_ended_under_a_limit_of_its_own)
{
    struct run run = scenario_run(NULL, "hardships", "first_ended", "PLIMSOLL_LIMIT=200Mi");
    cr_expect(run_exited(&run, 0) && run_number(&run, "ok") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "usage_mib") >= 30, "%s", run_describe(&run));
}

static void expect_the_cache_gives_way(const char *policy)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "hardships", "large_request", policy);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "calls_before") == 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "dropped") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "served") == 1, "%s", run_describe(&run));
}

Test(hardships, a_cache_gives_way_to_a_large_request)
{
    expect_the_cache_gives_way("PLIMSOLL_ON_LIMIT=throttle");
}

Test(hardships, a_cache_gives_way_to_a_large_request_that_may_be_refused)
{
    expect_the_cache_gives_way("PLIMSOLL_ON_LIMIT=fail");
}

Test(hardships, memory_is_touched_long_after_it_was_allocated)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "hardships", "touched_late", NULL);
    expect_survived(box, &run);
}

/* Others use the same room: when they need it, the process that freed the pages may get no CPU. */
Test(hardships, what_is_freed_at_once_beside_a_mapping_is_given_back_at_once)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "hardships", "freed_beside", "PLIMSOLL_THREAD=off");
    expect_survived(box, &run);
    double left = run_number(&run, "free_mib");
    cr_expect(left >= 0 && left < 10, "%s", run_describe(&run));
}

/* Each child's free pages are few beside the limit, all children's together are not. */
Test(hardships, idle_children_hold_the_free_pages)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "hardships", "idle_children", NULL);
    expect_survived(box, &run);
    double left = run_number(&run, "children_mib");
    cr_expect(left > 0 && left < 50, "%s", run_describe(&run));
}

Test(hardships, a_block_is_made_smaller_where_requests_are_refused)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "hardships", "shrink", "PLIMSOLL_ON_LIMIT=fail");
    expect_survived(box, &run);
    cr_expect(run_number(&run, "refused") == 0, "%s", run_describe(&run));
}

static void expect_nothing_in_it(const char *scenario)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "hardships", scenario, NULL);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "same") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "changed") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "bytes") == 0, "%s", run_describe(&run));
}

Test(hardships, the_number_of_the_pressure_fd_is_given_to_a_file)
{
    expect_nothing_in_it("reused_number");
}

Test(hardships, the_number_of_the_pressure_fd_is_given_to_an_eventfd)
{
    expect_nothing_in_it("reused_eventfd");
}

Test(hardships, children_are_forked_while_a_purge_runs)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "hardships", "fork_and_purge", NULL);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "cannot_purge") == 0, "%s", run_describe(&run));
}

/* The program keeps the watcher from getting the look lock after the pass. */
Test(hardships, what_a_reclaimer_frees_beside_a_long_purge_is_left_in_no_cache)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "long_purge", NULL, NULL);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "freed") > 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "stalled") == 1, "%s", run_describe(&run));
    double left = run_number(&run, "cached");
    cr_expect(left >= 0 && left < 32 * 1024, "%s", run_describe(&run));
}
