/* Page cache does not count as usage, as the kernel can drop it. Files in memory (tmpfs) do
 * count. */
#include "harness.h"

#include <criterion/criterion.h>

TestSuite(page_cache, .init = harness_begin, .fini = harness_end);

enum { TIMEOUT_S = 300 };

struct peak {
    struct run *run;
    const struct box *box;
    uint64_t page_cache;
};

static bool watch_until_filled(void *arg)
{
    struct peak *peak = arg;
    uint64_t now = box_page_cache(peak->box);
    peak->page_cache = now > peak->page_cache ? now : peak->page_cache;
    return run_has_printed(peak->run, "calls=");
}

Test(page_cache, filling_the_limit_causes_no_callback_and_no_purge)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 200 * MIB});
    struct run run = run_start(
        (struct run_spec){.box = box,
                          .preload = harness_library(),
                          .argv = ARGV(harness_program("pagecache"), "--mib", "300", "--heap-mib",
                                       "30", "--dir", harness_file_dir(), "--hold-s", "3")});
    struct peak peak = {.run = &run, .box = box};
    eventually(TIMEOUT_S, watch_until_filled, &peak);
    run_wait(&run, TIMEOUT_S);
    cr_assert(run_exited(&run, 0), "%s", run_describe(&run));
    if (peak.page_cache < 100 * MIB)
        cr_skip_test("files in %s are not in the page cache of their cgroup", harness_file_dir());
    cr_expect(run_number(&run, "calls") == 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "purges") == 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "level") == 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "usage_mib") < 100, "page cache is counted: %s", run.out);
    cr_expect(box_oom_kills(box) == 0);
}

Test(page_cache, a_heap_under_pressure_is_not_killed_for_it)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 300 * MIB});
    struct run files = run_start(
        (struct run_spec){.box = box,
                          .argv = ARGV(harness_program("pagecache"), "--mib", "400", "--heap-mib",
                                       "1", "--passes", "20", "--dir", harness_file_dir())});
    struct run heap = run_in((struct run_spec){.box = box,
                                               .preload = harness_library(),
                                               .argv = ARGV(harness_program("phases"))},
                             TIMEOUT_S);
    run_stop(&files);
    expect_survived(box, &heap);
}

static bool is_filled(void *run)
{
    return run_has_printed(run, "filled=1");
}

/* 60 of 200 MiB in a tmpfs, and a heap of 120. */
Test(page_cache, files_in_memory_count)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 200 * MIB});
    struct run run = run_in(
        (struct run_spec){.box = box,
                          .preload = harness_library(),
                          .argv = ARGV(harness_program("pagecache"), "--mib", "60", "--heap-mib",
                                       "120", "--dir", "/dev/shm", "--hold-s", "2")},
        TIMEOUT_S);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "usage_mib") >= 179, "files in memory are not counted: %s", run.out);
    cr_expect(run_number(&run, "calls") > 0, "%s", run_describe(&run));
}

Test(page_cache, a_heap_beside_files_in_memory_stays_in_the_rest)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 240 * MIB});
    struct run files = run_start((struct run_spec){
        .box = box,
        .argv = ARGV(harness_program("pagecache"), "--mib", "72", "--heap-mib", "1", "--passes",
                     "0", "--dir", "/dev/shm", "--hold-s", "3600")});
    cr_assert(eventually(TIMEOUT_S, is_filled, &files), "%s", run_describe(&files));
    struct run heap = run_in((struct run_spec){.box = box,
                                               .preload = harness_library(),
                                               .argv = ARGV(harness_program("phases"), "--live-mib",
                                                            "120", "--rounds", "6", "--verify")},
                             TIMEOUT_S);
    run_stop(&files);
    expect_survived(box, &heap);
}
