/* Threads with large blocks. What a thread has just been given takes room that nothing shows before
 * it is touched; much of it may never be. */
#include "harness.h"

#include <criterion/criterion.h>

TestSuite(large_blocks, .init = harness_begin, .fini = harness_end);

enum { TIMEOUT_S = 240 };

/* Threads with buffers of 8 MiB, beside 50 MiB. */
static struct run run_buffers(const struct box *box, const char *preload, const char *threads)
{
    return run_in((struct run_spec){.box = box,
                                    .preload = preload,
                                    .argv = ARGV(harness_program("buffers"), "--threads", threads)},
                  TIMEOUT_S);
}

/* No more than five fit at a time. */
Test(large_blocks, threads_with_large_buffers_are_killed_with_plain_jemalloc)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 96 * MIB});
    struct run run = run_buffers(box, "libjemalloc.so.2", "8");
    expect_oom_killed(box, &run);
}

Test(large_blocks, threads_with_large_buffers_take_turns)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 96 * MIB});
    struct run run = run_buffers(box, harness_library(), "8");
    expect_survived(box, &run);
}

/* A buffer of 8 MiB has 2048 pages. */
Test(large_blocks, far_from_the_limit_a_large_buffer_is_not_faulted_in_anew)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 2048 * MIB});
    struct run run = run_buffers(box, harness_library(), "1");
    expect_survived(box, &run);
    cr_expect(run_number(&run, "faults") < run_number(&run, "served") * 500, "%s",
              run_describe(&run));
}

/* What a vector leaves behind as it grows goes back: at 400 MiB it is there twice for a moment. */
Test(large_blocks, nor_does_one_that_grows_leave_its_former_pages)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 2048 * MIB});
    struct run run =
        run_in((struct run_spec){.box = box,
                                 .preload = harness_library(),
                                 .argv = ARGV(harness_program("regrow"), "--mib", "400")},
               TIMEOUT_S);
    expect_survived(box, &run);
    cr_expect(box_peak(box) < 900 * MIB, "%lu MiB", (unsigned long)(box_peak(box) / MIB));
}

/* --- that are hardly touched --- */

static struct run run_sparse(const char *on_limit, const char *const *argv)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 96 * MIB});
    struct run run = run_in(
        (struct run_spec){
            .box = box, .preload = harness_library(), .env = ARGV(on_limit), .argv = argv},
        TIMEOUT_S);
    expect_survived(box, &run);
    return run;
}

/* Who waits holds the lock that the others need. */
Test(large_blocks, threads_of_an_interpreter_wait_for_each_other_in_vain_only_once)
{
    struct run run = run_sparse("PLIMSOLL_ON_LIMIT=throttle",
                                ARGV(harness_program("sparse"), "--threads", "16", "--one-lock"));
    cr_expect(run_number(&run, "served") == 3200, "%s", run_describe(&run));
    cr_expect(run_number(&run, "waited_ms") < 1500, "%s", run_describe(&run));
}

Test(large_blocks, nor_do_threads_wait_for_what_is_never_touched)
{
    struct run run =
        run_sparse("PLIMSOLL_ON_LIMIT=throttle",
                   ARGV(harness_program("sparse"), "--live-mib", "80", "--rounds", "500"));
    cr_expect(run_number(&run, "served") == 2000, "%s", run_describe(&run));
    cr_expect(run_number(&run, "waited_ms") < 3000, "%s", run_describe(&run));
}

Test(large_blocks, who_is_to_be_refused_does_not_wait_for_other_threads)
{
    struct run run = run_sparse("PLIMSOLL_ON_LIMIT=fail",
                                ARGV(harness_program("sparse"), "--mib", "30", "--rounds", "20"));
    cr_expect(run_number(&run, "refused") == 80, "%s", run_describe(&run));
    cr_expect(run_number(&run, "waited_ms") < 2000, "%s", run_describe(&run));
}

static void expect_cache_kept(const char *mib, const char *threads, const char *rounds,
                              const char *keep)
{
    struct run run = run_sparse("PLIMSOLL_ON_LIMIT=throttle",
                                ARGV(harness_program("sparse"), "--live-mib", "60", "--cache",
                                     "--mib", mib, "--threads", threads, "--rounds", rounds, keep));
    cr_expect(run_number(&run, "calls") == 0, "%s", run_describe(&run));
}

Test(large_blocks, a_cache_does_not_give_way_to_blocks_larger_than_the_limit)
{
    expect_cache_kept("200", "1", "100", NULL);
    expect_cache_kept("200", "4", "50", NULL);
}

Test(large_blocks, nor_to_many_one_after_the_other)
{
    expect_cache_kept("2", "1", "100", "--keep");
    expect_cache_kept("2", "4", "25", "--keep");
}

/* The child has the parent's memory on loan, and descriptors of its own. */
Test(large_blocks, a_child_of_vfork_leaves_its_parent_no_descriptors)
{
    struct run run = run_sparse("PLIMSOLL_ON_LIMIT=throttle",
                                ARGV(harness_program("sparse"), "--live-mib", "75", "--threads",
                                     "1", "--rounds", "1000", "--borrowers", "100"));
    cr_expect(run_number(&run, "opened") < 20, "%s", run_describe(&run));
}
