/* Blocks that stay keep slabs in use that are mostly free: that does not get a program killed. */
#include "harness.h"

#include <criterion/criterion.h>

static void begin(void)
{
    harness_begin();
#ifndef __x86_64__
    cr_skip_test("jemalloc's slabs are read on x86-64 only");
#endif
}

TestSuite(slabs, .init = begin, .fini = harness_end);

enum { TIMEOUT_S = 240, LIMIT_MIB = 192 };

static struct run run_leftovers(const struct box *box, const char *preload, const char *variable,
                                const char *const *argv)
{
    return run_in(
        (struct run_spec){.box = box, .preload = preload, .env = ARGV(variable), .argv = argv},
        TIMEOUT_S);
}

Test(slabs, a_few_blocks_of_each_size_are_too_much_for_plain_jemalloc)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    struct run run = run_leftovers(box, "libjemalloc.so.2",
                                   "MALLOC_CONF=narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0",
                                   ARGV(harness_program("leftovers")));
    expect_oom_killed(box, &run);
}

Test(slabs, a_few_blocks_of_each_size_leave_room_for_the_next)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    struct run run =
        run_leftovers(box, harness_library(), NULL, ARGV(harness_program("leftovers")));
    expect_survived(box, &run);
}

/* All threads may come to the end of a fill at the same time. */
Test(slabs, on_several_threads)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 256 * MIB});
    struct run run =
        run_leftovers(box, harness_library(), NULL,
                      ARGV(harness_program("leftovers"), "--threads", "4", "--mib", "96"));
    expect_survived(box, &run);
}

Test(slabs, without_the_watcher_thread)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    struct run run = run_leftovers(box, harness_library(), "PLIMSOLL_THREAD=off",
                                   ARGV(harness_program("leftovers")));
    expect_survived(box, &run);
}

/* No count of pages shows this growth, and free pages must be given back to make room for it. */
Test(slabs, what_fills_the_holes_again_is_seen_before_the_limit)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    struct run run = run_leftovers(box, harness_library(), "PLIMSOLL_THREAD=off",
                                   ARGV(harness_program("leftovers"), "--refill-mib", "58"));
    expect_survived(box, &run);
}

Test(slabs, a_cache_that_fills_the_holes_again_is_asked_to_give_way)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    struct run run = run_leftovers(box, harness_library(), NULL,
                                   ARGV(harness_program("leftovers"), "--cache-mib", "2000"));
    expect_survived(box, &run);
    cr_expect(run_number(&run, "calls") > 0, "%s", run_describe(&run));
}

/* Pages of slabs that have ended serve larger blocks, and then small ones again. Stock jemalloc
 * takes new pages for most of that each time. */
Test(slabs, their_pages_serve_blocks_of_another_size)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 80 * MIB});
    struct run run =
        run_leftovers(box, harness_library(), NULL, ARGV(harness_program("alternating")));
    expect_survived(box, &run);
    cr_expect_leq(run_number(&run, "faults_mib"), 60, "of 240 MiB: %.0f",
                  run_number(&run, "faults_mib"));
}
