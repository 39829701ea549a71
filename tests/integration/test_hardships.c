/* What befalls programs apart from allocating: it must neither get them killed nor spoil anything
 * of theirs. */
#include "harness.h"

#include <criterion/criterion.h>

TestSuite(hardships, .init = harness_begin, .fini = harness_end);

enum { TIMEOUT_S = 300, LIMIT_MIB = 256 };

static struct box *new_box(void)
{
    return box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
}

static struct run run_scenario(const struct box *box, const char *name, const char *policy)
{
    return run_in((struct run_spec){.box = box,
                                    .preload = harness_library(),
                                    .env = ARGV(policy),
                                    .argv = ARGV(harness_program("hardships"), name)},
                  TIMEOUT_S);
}

Test(hardships, no_descriptor_is_left)
{
    struct box *box = new_box();
    struct run run = run_scenario(box, "descriptors", NULL);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "hard_mib") == LIMIT_MIB, "%s", run_describe(&run));
}

Test(hardships, the_root_directory_is_an_empty_one)
{
    struct box *box = new_box();
    struct run run = run_scenario(box, "chroot", NULL);
    if (run_number(&run, "denied") == 1)
        cr_skip_test("no right to change the root directory");
    expect_survived(box, &run);
    cr_expect(run_number(&run, "hard_mib") == LIMIT_MIB, "%s", run_describe(&run));
}

static void expect_the_cache_gives_way(const char *policy)
{
    struct box *box = new_box();
    struct run run = run_scenario(box, "large_request", policy);
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
    struct box *box = new_box();
    struct run run = run_scenario(box, "touched_late", NULL);
    expect_survived(box, &run);
}

/* Others take from the same room: by the time that they need it, who has freed it may get no CPU.
 */
Test(hardships, what_is_freed_at_once_beside_a_mapping_is_given_back_at_once)
{
    struct box *box = new_box();
    struct run run = run_scenario(box, "freed_beside", "PLIMSOLL_THREAD=off");
    expect_survived(box, &run);
    double left = run_number(&run, "free_mib");
    cr_expect(left >= 0 && left < 10, "%s", run_describe(&run));
}

/* Each of them is small beside the limit, all together are not. */
Test(hardships, idle_children_hold_the_free_pages)
{
    struct box *box = new_box();
    struct run run = run_scenario(box, "idle_children", NULL);
    expect_survived(box, &run);
    double left = run_number(&run, "children_mib");
    cr_expect(left > 0 && left < 50, "%s", run_describe(&run));
}

Test(hardships, a_block_is_made_smaller_where_requests_are_refused)
{
    struct box *box = new_box();
    struct run run = run_scenario(box, "shrink", "PLIMSOLL_ON_LIMIT=fail");
    expect_survived(box, &run);
    cr_expect(run_number(&run, "refused") == 0, "%s", run_describe(&run));
}

Test(hardships, the_number_of_the_pressure_fd_is_given_to_a_file)
{
    struct box *box = new_box();
    struct run run = run_scenario(box, "reused_number", NULL);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "same") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "changed") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "bytes") == 0, "%s", run_describe(&run));
}

Test(hardships, children_are_forked_while_a_purge_runs)
{
    struct box *box = new_box();
    struct run run = run_scenario(box, "fork_and_purge", NULL);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "cannot_purge") == 0, "%s", run_describe(&run));
}
