/* PLIMSOLL_ON_LIMIT: what happens at the hard limit when there is nothing left to give back. */
#include "harness.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

TestSuite(on_limit, .init = harness_begin, .fini = harness_end);

enum { TIMEOUT_S = 240 };

static struct run big_request(const struct box *box, const char *policy)
{
    return run_in((struct run_spec){.box = box,
                                    .preload = harness_library(),
                                    .env = ARGV(policy),
                                    .argv = ARGV(harness_program("big_request"), "--fill-mib",
                                                 "100", "--ask-mib", "300", "--touch")},
                  TIMEOUT_S);
}

/* Grows to more live memory than the limit allows; 1 MiB blocks are large requests, 8 KiB ones are
 * not. */
static struct run grow_past(const struct box *box, const char *policy, const char *block_kib)
{
    return run_in((struct run_spec){.box = box,
                                    .preload = harness_library(),
                                    .env = ARGV(policy),
                                    .argv = ARGV(harness_program("grow"), "--mib", "400",
                                                 "--rate-mib", "400", "--block-kib", block_kib)},
                  TIMEOUT_S);
}

Test(on_limit, fail_refuses_a_request_larger_than_the_headroom_and_goes_on)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 200 * MIB});
    struct run run = big_request(box, "PLIMSOLL_ON_LIMIT=fail");
    expect_survived(box, &run);
    cr_expect(run_number(&run, "refused") == 1 && run_number(&run, "enomem") == 1, "%s",
              run_describe(&run));
    cr_expect(run_number(&run, "small_ok") == 1, "%s", run_describe(&run));
}

Test(on_limit, fail_serves_a_large_request_that_fits)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 600 * MIB});
    struct run run = big_request(box, "PLIMSOLL_ON_LIMIT=fail");
    expect_survived(box, &run);
    cr_expect(run_number(&run, "refused") == 0, "%s", run_describe(&run));
}

Test(on_limit, fail_refuses_large_requests_one_by_one_at_the_limit)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 200 * MIB});
    struct run run = grow_past(box, "PLIMSOLL_ON_LIMIT=fail", "2048");
    cr_expect(run_exited(&run, 3), "%s", run_describe(&run));
    cr_expect(run_number(&run, "enomem") == 1 && run_number(&run, "went_on") == 1, "%s",
              run_describe(&run));
    cr_expect(run_number(&run, "refused_at_mib") > 140, "%s", run_describe(&run));
    cr_expect(box_oom_kills(box) == 0);
}

Test(on_limit, none_leaves_the_same_request_to_the_kernel_which_kills)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 200 * MIB});
    struct run run = big_request(box, "PLIMSOLL_ON_LIMIT=none");
    cr_expect(run_number(&run, "refused") == 0, "%s", run_describe(&run));
    expect_oom_killed(box, &run);
}

static void expect_aborted(struct box *box, struct run *run)
{
    cr_expect(run_signalled(run, SIGABRT), "%s", run_describe(run));
    cr_expect(strstr(run->err, "plimsoll: aborting"), "no line on stderr: %s", run->err);
    cr_expect(box_oom_kills(box) == 0);
}

static void expect_abort_of_growth(const char *block_kib)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 200 * MIB});
    struct run run = grow_past(box, "PLIMSOLL_ON_LIMIT=abort", block_kib);
    expect_aborted(box, &run);
    cr_expect(run_number(&run, "live_mib") > 140, "too early: %s", run_describe(&run));
}

Test(on_limit, abort_ends_the_program_with_sigabrt_and_a_line_that_says_why)
{
    expect_abort_of_growth("8");
}

Test(on_limit, so_it_does_where_large_requests_are_what_does_not_fit)
{
    expect_abort_of_growth("4096");
    struct box *box = box_new(NULL, (struct box_limits){.memory = 200 * MIB});
    struct run run = big_request(box, "PLIMSOLL_ON_LIMIT=abort");
    expect_aborted(box, &run);
}

Test(on_limit, throttle_waits_but_not_for_ever)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 200 * MIB});
    struct run run = grow_past(box, "PLIMSOLL_ON_LIMIT=throttle", "8");
    cr_expect(!run.timed_out, "hangs: %s", run_describe(&run));
    /* All of it is live: when waiting did not help, the kernel has the last word. */
    cr_expect(run_signalled(&run, SIGKILL), "%s", run_describe(&run));
    cr_expect(run_number(&run, "live_mib") > 170, "%s", run_describe(&run));
}

Test(on_limit, throttle_holds_threads_back_while_a_slow_reclaimer_works)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 200 * MIB});
    struct run run = run_in(
        (struct run_spec){.box = box,
                          .preload = harness_library(),
                          .env = ARGV("PLIMSOLL_ON_LIMIT=throttle"),
                          .argv = ARGV(harness_program("cache"), "--seconds", "6", "--threads", "4",
                                       "--slow-ms", "50", "--from-first-call")},
        TIMEOUT_S);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "calls") > 0, "%s", run_describe(&run));
}
