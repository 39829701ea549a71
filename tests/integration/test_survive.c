/* Programs whose live data fits are not killed, where the same programs are without the library. */
#include "harness.h"

#include <criterion/criterion.h>
#include <unistd.h>

TestSuite(survive, .init = harness_begin, .fini = harness_end);

enum { TIMEOUT_S = 300 };

/* 8 threads, 200 MiB live, 12 changes of size classes. */
static struct run run_phases(const struct box *box, const char *preload)
{
    return run_in((struct run_spec){.box = box,
                                    .preload = preload,
                                    .argv = ARGV(harness_program("phases"), "--verify")},
                  TIMEOUT_S);
}

Test(survive, changing_size_classes_is_killed_with_the_c_library)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 240 * MIB});
    struct run run = run_phases(box, NULL);
    expect_oom_killed(box, &run);
}

Test(survive, changing_size_classes_is_killed_with_plain_jemalloc)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 240 * MIB});
    struct run run = run_phases(box, "libjemalloc.so.2");
    expect_oom_killed(box, &run);
}

Test(survive, changing_size_classes_is_killed_when_switched_off)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 240 * MIB});
    struct run run = run_in((struct run_spec){.box = box,
                                              .preload = harness_library(),
                                              .env = ARGV("PLIMSOLL=off"),
                                              .argv = ARGV(harness_program("phases"))},
                            TIMEOUT_S);
    expect_oom_killed(box, &run);
}

Test(survive, changing_size_classes_with_200_of_240_mib_live)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 240 * MIB});
    struct run run = run_phases(box, harness_library());
    expect_survived(box, &run);
}

Test(survive, every_one_of_five_runs)
{
    for (int i = 0; i < 5; i++) {
        struct box *box = box_new(NULL, (struct box_limits){.memory = 240 * MIB});
        struct run run = run_phases(box, harness_library());
        expect_survived(box, &run);
    }
}

static void regrow(uint64_t limit, const char *on_limit, const char *const *argv)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = limit});
    struct run run = run_in(
        (struct run_spec){
            .box = box, .preload = harness_library(), .env = ARGV(on_limit), .argv = argv},
        TIMEOUT_S);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "wrong") == 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "refused") == 0, "%s", run_describe(&run));
}

/* A block of 60 MiB that moves as it grows: there is no room for the old and the new block. */
Test(survive, a_block_that_moves_as_it_grows_is_not_there_twice)
{
    regrow(88 * MIB, "PLIMSOLL_ON_LIMIT=throttle", ARGV(harness_program("regrow")));
}

Test(survive, nor_are_the_blocks_of_several_threads)
{
    regrow(88 * MIB, "PLIMSOLL_ON_LIMIT=throttle",
           ARGV(harness_program("regrow"), "--threads", "4"));
}

Test(survive, nor_is_its_growth_refused)
{
    regrow(88 * MIB, "PLIMSOLL_ON_LIMIT=fail", ARGV(harness_program("regrow")));
}

/* There must be room for both the old and the new block, and the thread waits for the reclaimer. */
Test(survive, a_block_that_a_child_shares_is_there_twice)
{
    regrow(200 * MIB, "PLIMSOLL_ON_LIMIT=throttle", ARGV(harness_program("regrow"), "--forked"));
}

Test(survive, with_a_limit_at_an_ancestor_only)
{
    struct box *outer = box_new(NULL, (struct box_limits){.memory = 240 * MIB});
    struct box *middle = box_new(outer, (struct box_limits){0});
    struct box *inner = box_new(middle, (struct box_limits){0});
    struct run run = run_phases(inner, harness_library());
    expect_survived(outer, &run);
}

Test(survive, with_a_wider_limit_nearer_than_the_one_that_binds)
{
    struct box *outer = box_new(NULL, (struct box_limits){.memory = 240 * MIB});
    struct box *inner = box_new(outer, (struct box_limits){.memory = 1000 * MIB});
    struct run run = run_phases(inner, harness_library());
    expect_survived(outer, &run);
}

/* Other processes keep the outer group past its soft limit, by more than a tenth of the inner
 * limit. */
Test(survive, a_cache_in_a_small_group_of_a_large_one_that_is_nearly_full)
{
    struct box *outer = box_new(NULL, (struct box_limits){.memory = 1000 * MIB});
    struct box *beside = box_new(outer, (struct box_limits){0});
    struct box *inner = box_new(outer, (struct box_limits){.memory = 48 * MIB});
    struct run hog =
        run_start((struct run_spec){.box = beside,
                                    .argv = ARGV(harness_program("grow"), "--mib", "870",
                                                 "--rate-mib", "0", "--hold-s", "300")});
    while (!run_has_printed(&hog, "grown=1"))
        usleep(10000);
    struct run run = run_in((struct run_spec){.box = inner,
                                              .preload = harness_library(),
                                              .argv = ARGV(harness_program("cache"), "--threads",
                                                           "2", "--seconds", "4")},
                            TIMEOUT_S);
    run_stop(&hog);
    expect_survived(inner, &run);
    cr_expect(run_number(&run, "calls") > 10, "its reclaimer was called");
    cr_expect(box_oom_kills(outer) == 0);
}

Test(survive, with_a_fifth_of_a_cpu)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 240 * MIB, .cpu_percent = 20});
    struct run run =
        run_in((struct run_spec){.box = box,
                                 .preload = harness_library(),
                                 .argv = ARGV(harness_program("phases"), "--rounds", "6")},
               TIMEOUT_S);
    expect_survived(box, &run);
}

/* 8 threads that grow at full speed, and get to run 10 ms out of each 100. */
Test(survive, with_a_tenth_of_a_cpu)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 240 * MIB, .cpu_percent = 10});
    struct run run =
        run_in((struct run_spec){.box = box,
                                 .preload = harness_library(),
                                 .argv = ARGV(harness_program("phases"), "--rounds", "1")},
               TIMEOUT_S);
    expect_survived(box, &run);
}

/* The third block takes all the room there is, and the free pages left by what was freed before. */
Test(survive, a_burst_of_64_mib_blocks)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 240 * MIB});
    struct run run = run_in(
        (struct run_spec){.box = box,
                          .preload = harness_library(),
                          .argv = ARGV(harness_program("grow"), "--free-first-mib", "192", "--mib",
                                       "192", "--rate-mib", "0", "--block-kib", "65536")},
        TIMEOUT_S);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "grown") == 1, "%s", run_describe(&run));
}

Test(survive, without_the_watcher_thread)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 256 * MIB});
    struct run run = run_in((struct run_spec){.box = box,
                                              .preload = harness_library(),
                                              .env = ARGV("PLIMSOLL_THREAD=off"),
                                              .argv = ARGV(harness_program("phases"))},
                            TIMEOUT_S);
    expect_survived(box, &run);
}

Test(survive, full_speed_growth_to_nine_tenths_of_the_limit_after_freeing_as_much)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 240 * MIB});
    struct run run = run_in(
        (struct run_spec){.box = box,
                          .preload = harness_library(),
                          .argv = ARGV(harness_program("grow"), "--free-first-mib", "200", "--mib",
                                       "210", "--rate-mib", "0", "--block-kib", "24")},
        TIMEOUT_S);
    expect_survived(box, &run);
}

/* The kernel stalls a program above memory.high for minutes: usage has to stay below it. */
Test(survive, with_memory_high_below_the_limit)
{
    if (harness_version() != 2)
        cr_skip_test("memory.high is of cgroup v2: tested on the v2 kernel");
    struct box *box = box_new(NULL, (struct box_limits){.memory = 400 * MIB, .high = 250 * MIB});
    struct run run = run_phases(box, harness_library());
    expect_survived(box, &run);
    cr_expect(box_high_events(box) == 0, "met it %d times", (int)box_high_events(box));
    cr_expect(box_peak(box) < 260 * MIB, "peak %d MiB", (int)(box_peak(box) / MIB));
}

/* Far below a limit nothing is lost: a small program works under a limit that leaves little room.
 */
Test(survive, a_limit_of_32_mib)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 32 * MIB});
    struct run run = run_in((struct run_spec){.box = box,
                                              .preload = harness_library(),
                                              .argv = ARGV(harness_program("phases"), "--threads",
                                                           "2", "--live-mib", "16")},
                            TIMEOUT_S);
    expect_survived(box, &run);
}
