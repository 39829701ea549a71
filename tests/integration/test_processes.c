/* Several processes in one cgroup share its limit. */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(processes, .init = harness_begin, .fini = harness_end);

enum { TIMEOUT_S = 300, PROCESSES = 4 };

/* 4 x 50 MiB live, after fork in one program. */
static struct run run_preforked(const struct box *box, const char *preload)
{
    return run_in((struct run_spec){.box = box,
                                    .preload = preload,
                                    .argv = ARGV(harness_program("fork_workers"), "--children", "4",
                                                 "--live-mib", "50", "--verify")},
                  TIMEOUT_S);
}

Test(processes, preforked_workers_are_killed_with_the_c_library)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 260 * MIB});
    run_preforked(box, NULL);
    cr_expect(box_oom_kills(box) > 0, "no OOM kill was counted");
}

Test(processes, preforked_workers_are_killed_with_plain_jemalloc)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 260 * MIB});
    run_preforked(box, "libjemalloc.so.2");
    cr_expect(box_oom_kills(box) > 0, "no OOM kill was counted");
}

Test(processes, preforked_workers_survive)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 260 * MIB});
    struct run run = run_preforked(box, harness_library());
    expect_survived(box, &run);
    cr_expect(run_number(&run, "ok") == PROCESSES, "%s", run_describe(&run));
}

/* All together 200 MiB live. */
static void expect_preforked_survive(const char *children, const char *live_mib)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 260 * MIB});
    struct run run = run_in(
        (struct run_spec){.box = box,
                          .preload = harness_library(),
                          .argv = ARGV(harness_program("fork_workers"), "--children", children,
                                       "--live-mib", live_mib, "--rounds", "6", "--verify")},
        TIMEOUT_S);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "ok") == atoi(children), "%s", run_describe(&run));
}

Test(processes, two_preforked_workers_survive)
{
    expect_preforked_survive("2", "96");
}

Test(processes, eight_preforked_workers_survive)
{
    expect_preforked_survive("8", "22");
}

/* The neighbour cannot be asked for anything, and grows while the other process is at work. */
Test(processes, a_neighbour_without_the_library_that_takes_half_is_made_room_for)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 240 * MIB});
    struct run run = run_start(
        (struct run_spec){.box = box,
                          .preload = harness_library(),
                          .argv = ARGV(harness_program("phases"), "--threads", "4", "--live-mib",
                                       "80", "--rounds", "60", "--verify")});
    struct run neighbour =
        run_start((struct run_spec){.box = box,
                                    .argv = ARGV(harness_program("grow"), "--mib", "120",
                                                 "--rate-mib", "200", "--hold-s", "3600")});
    run_wait(&run, TIMEOUT_S);
    cr_expect(run_number(&neighbour, "grown") == 1, "%s", run_describe(&neighbour));
    run_stop(&neighbour);
    expect_survived(box, &run);
}

Test(processes, unrelated_ones_survive)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 260 * MIB});
    struct run runs[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        runs[i] = run_start((struct run_spec){
            .box = box,
            .preload = harness_library(),
            .argv = ARGV(harness_program("phases"), "--threads", "2", "--live-mib", "50")});
    for (int i = 0; i < PROCESSES; i++) {
        run_wait(&runs[i], TIMEOUT_S);
        cr_expect(run_exited(&runs[i], 0), "process %d: %s", i, run_describe(&runs[i]));
    }
    cr_expect(box_oom_kills(box) == 0);
}

static bool has_grown(void *run)
{
    return run_has_printed(run, "grown=1");
}

/* One process holds free pages and makes no calls; another needs them. */
Test(processes, an_idle_one_gives_back_what_another_needs)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 300 * MIB});
    struct run idle =
        run_start((struct run_spec){.box = box,
                                    .preload = harness_library(),
                                    .argv = ARGV(harness_program("grow"), "--free-first-mib", "200",
                                                 "--mib", "10", "--hold-s", "3600")});
    cr_assert(eventually(TIMEOUT_S, has_grown, &idle), "%s", run_describe(&idle));
    struct run busy = run_in((struct run_spec){.box = box,
                                               .preload = harness_library(),
                                               .argv = ARGV(harness_program("grow"), "--mib", "220",
                                                            "--rate-mib", "100")},
                             TIMEOUT_S);
    run_stop(&idle);
    expect_survived(box, &busy);
}
