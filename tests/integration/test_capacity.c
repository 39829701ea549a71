/* PLIMSOLL_REPORT: what libc says of the machine is the cgroup's truth, and stays so. */
#include "harness.h"

#include "sys.h"

#include <criterion/criterion.h>

TestSuite(capacity, .init = harness_begin, .fini = harness_end);

enum { FOLLOWED_S = 60, WRITTEN_S = 300, RUN_S = 60, KIB_PER_MIB = 1024 };

/* Numbers that must all be within their bounds at the same time. */
struct wanted {
    const char *key;
    double from, to;
};

struct watch {
    struct run *run;
    const struct wanted *wanted;
    size_t count;
    const char *wrong; /* the first key that is out of bounds */
};

static bool all_within(void *arg)
{
    struct watch *watch = arg;
    for (size_t i = 0; i < watch->count; i++) {
        const struct wanted *w = &watch->wanted[i];
        double value = run_number(watch->run, w->key);
        watch->wrong = w->key;
        if (value < w->from || value > w->to)
            return false;
    }
    watch->wrong = NULL;
    return true;
}

static void expect_all(struct run *run, const struct wanted *wanted, size_t count)
{
    struct watch watch = {.run = run, .wanted = wanted, .count = count};
    bool within = eventually(FOLLOWED_S, all_within, &watch);
    cr_expect(within, "%s=%.0f: %s", watch.wrong, run_number(run, watch.wrong), run_describe(run));
}

#define EXPECT_ALL(run, ...)                                                                       \
    expect_all(run, (const struct wanted[]){__VA_ARGS__},                                          \
               sizeof((const struct wanted[]){__VA_ARGS__}) / sizeof(struct wanted))

static void expect_cpus(struct run *run, double cpus)
{
    EXPECT_ALL(run, {"onln", cpus, cpus}, {"conf", cpus, cpus}, {"nprocs", cpus, cpus},
               {"nprocs_conf", cpus, cpus});
}

static void expect_ram(struct run *run, double kib)
{
    EXPECT_ALL(run, {"phys", kib, kib}, {"phys_fn", kib, kib}, {"total", kib, kib});
}

static void expect_free_mib(struct run *run, double from, double to)
{
    from *= KIB_PER_MIB, to *= KIB_PER_MIB;
    EXPECT_ALL(run, {"avphys", from, to}, {"avphys_fn", from, to}, {"free", from, to});
}

static struct run start_sizes(const struct box *box, const char *report, const char *hold_mib)
{
    return run_start((struct run_spec){
        .box = box,
        .preload = harness_library(),
        .env = ARGV(report),
        .argv = ARGV(harness_program("sizes"), "--hold-mib", hold_mib),
    });
}

static struct run sizes_once(const struct box *box, const char *library, const char *const *env)
{
    struct run run = run_in((struct run_spec){.box = box,
                                              .preload = library,
                                              .env = env,
                                              .argv = ARGV(harness_program("sizes"), "--once")},
                            RUN_S);
    cr_assert(run_exited(&run, 0), "%s", run_describe(&run));
    return run;
}

Test(capacity, cpus_are_the_quota_rounded_up_and_followed)
{
    unsigned affinity = sys_affinity_cpus();
    if (affinity < 2)
        cr_skip_test("with one CPU no quota changes anything");
    struct box *box = box_new(NULL, (struct box_limits){.memory = 400 * MIB, .cpu_percent = 50});
    struct run run = start_sizes(box, "PLIMSOLL_REPORT=cpus", "0");
    expect_cpus(&run, 1);
    box_set_cpu(box, 150);
    expect_cpus(&run, 2);
    box_set_cpu(box, 100);
    expect_cpus(&run, 1);
    run_stop(&run);
    cr_expect(run_number(&run, "errno_kept") == 1, "%s", run_describe(&run));
}

Test(capacity, a_quota_of_more_cpus_than_there_are_counts_as_those)
{
    unsigned affinity = sys_affinity_cpus();
    struct box *box = box_new(NULL, (struct box_limits){.memory = 400 * MIB, .cpu_percent = 100});
    box_set_cpu(box, (affinity + 3) * 100);
    struct run run = sizes_once(box, harness_library(), ARGV("PLIMSOLL_REPORT=cpus"));
    expect_cpus(&run, affinity);
}

/* Programs hand it back to sched_setaffinity(2). */
Test(capacity, the_affinity_mask_stays_the_kernels)
{
    unsigned affinity = sys_affinity_cpus();
    struct box *box = box_new(NULL, (struct box_limits){.memory = 400 * MIB, .cpu_percent = 100});
    struct run run = sizes_once(box, harness_library(), ARGV("PLIMSOLL_REPORT=cpus,memory"));
    EXPECT_ALL(&run, {"affinity", affinity, affinity}, {"onln", 1, 1});
}

Test(capacity, ram_is_the_limit_and_followed)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 300 * MIB});
    struct run run = start_sizes(box, "PLIMSOLL_REPORT=memory", "0");
    expect_ram(&run, 300 * KIB_PER_MIB);
    cr_assert(box_set_memory(box, 500 * MIB) == 0);
    expect_ram(&run, 500 * KIB_PER_MIB);
    cr_assert(box_set_memory(box, 200 * MIB) == 0);
    expect_ram(&run, 200 * KIB_PER_MIB);
    cr_assert(box_set_memory(box, NO_LIMIT) == 0);
    expect_ram(&run, run_number(&run, "kernel_total"));
    run_stop(&run);
    cr_expect(run_number(&run, "errno_kept") == 1, "%s", run_describe(&run));
}

Test(capacity, free_memory_is_the_limit_less_the_usage)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 300 * MIB});
    struct run run = start_sizes(box, "PLIMSOLL_REPORT=memory", "100");
    expect_free_mib(&run, 170, 200);
    cr_assert(box_set_memory(box, 400 * MIB) == 0);
    expect_free_mib(&run, 270, 300);
    run_stop(&run);
}

static bool files_are_cached(void *box)
{
    return box_page_cache(box) >= 140 * MIB;
}

Test(capacity, what_the_kernel_drops_by_itself_counts_as_free)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 300 * MIB});
    struct run files = run_start((struct run_spec){
        .box = box,
        .argv = ARGV(harness_program("pagecache"), "--mib", "150", "--heap-mib", "1", "--dir",
                     harness_file_dir(), "--hold-s", "3600"),
    });
    cr_assert(eventually(WRITTEN_S, files_are_cached, box), "%s", run_describe(&files));
    struct run run = sizes_once(box, harness_library(), ARGV("PLIMSOLL_REPORT=memory"));
    expect_free_mib(&run, 250, 300);
    run_stop(&files);
}

Test(capacity, an_ancestors_limit_counts_and_so_does_what_others_use_of_it)
{
    struct box *outer = box_new(NULL, (struct box_limits){.memory = 350 * MIB});
    struct box *inner = box_new(outer, (struct box_limits){.memory = 600 * MIB});
    struct box *other = box_new(outer, (struct box_limits){0});
    struct run run = start_sizes(inner, "PLIMSOLL_REPORT=memory", "0");
    expect_ram(&run, 350 * KIB_PER_MIB);
    expect_free_mib(&run, 300, 350);
    struct run neighbour = start_sizes(other, "PLIMSOLL_REPORT=off", "120");
    expect_free_mib(&run, 190, 230);
    run_stop(&neighbour);
    run_stop(&run);
}

Test(capacity, a_limit_above_the_machines_memory_changes_nothing)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = (uint64_t)1 << 50});
    struct run run = sizes_once(box, harness_library(), ARGV("PLIMSOLL_REPORT=memory"));
    double total = run_number(&run, "kernel_total"), swap = run_number(&run, "kernel_swap");
    expect_ram(&run, total);
    EXPECT_ALL(&run, {"free", 1, total}, {"avphys", 1, total}, {"swap", swap, swap});
}

/* Soft limits concern only the library. */
Test(capacity, the_hard_limit_is_told_whatever_the_soft_one_is)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 300 * MIB});
    const char *const soft[] = {"PLIMSOLL_LIMIT=off", "PLIMSOLL_LIMIT=50%", "PLIMSOLL_LIMIT=64Mi"};
    for (size_t i = 0; i < sizeof(soft) / sizeof(soft[0]); i++) {
        struct run run =
            sizes_once(box, harness_library(), ARGV("PLIMSOLL_REPORT=memory", soft[i]));
        expect_ram(&run, 300 * KIB_PER_MIB);
        expect_free_mib(&run, 200, 300);
    }
}

Test(capacity, memory_high_counts_where_it_is_lower)
{
    if (harness_version() != 2)
        cr_skip_test("memory.high is of cgroup v2: tested on the v2 kernel");
    struct box *box = box_new(NULL, (struct box_limits){.memory = 300 * MIB, .high = 200 * MIB});
    struct run run = sizes_once(box, harness_library(), ARGV("PLIMSOLL_REPORT=memory"));
    expect_ram(&run, 200 * KIB_PER_MIB);
}

static void expect_same(struct run *a, struct run *b, const char *const *keys)
{
    for (; *keys != NULL; keys++)
        cr_expect(run_number(a, *keys) == run_number(b, *keys) && run_number(a, *keys) >= 0,
                  "%s: %.0f and %.0f", *keys, run_number(a, *keys), run_number(b, *keys));
}

static const char *const cpu_keys[] = {"onln", "conf", "nprocs", "nprocs_conf", "affinity", NULL};
static const char *const memory_keys[] = {"phys", "phys_fn", "total", "swap", NULL};

Test(capacity, without_the_option_everything_is_libcs)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 300 * MIB, .cpu_percent = 50});
    struct run plain = sizes_once(box, NULL, NULL);
    const char *const *const none[] = {
        NULL,
        ARGV("PLIMSOLL_REPORT=off"),
        ARGV("PLIMSOLL_REPORT=cpus,memory", "PLIMSOLL=off"),
        ARGV("PLIMSOLL_REPORT=all", "PLIMSOLL_LOG=off"),
    };
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        struct run run = sizes_once(box, harness_library(), none[i]);
        expect_same(&run, &plain, cpu_keys);
        expect_same(&run, &plain, memory_keys);
        double free = run_number(&run, "kernel_free");
        EXPECT_ALL(&run, {"free", free * 0.5, free * 2}, {"avphys_fn", free * 0.5, free * 2});
    }
}

Test(capacity, each_half_of_the_option_leaves_the_other_alone)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 300 * MIB, .cpu_percent = 50});
    struct run plain = sizes_once(box, NULL, NULL);
    struct run cpus = sizes_once(box, harness_library(), ARGV("PLIMSOLL_REPORT=cpus"));
    struct run memory = sizes_once(box, harness_library(), ARGV("PLIMSOLL_REPORT=memory"));
    struct run both = sizes_once(box, harness_library(), ARGV("PLIMSOLL_REPORT=memory,cpus"));
    expect_cpus(&cpus, 1);
    expect_same(&cpus, &plain, memory_keys);
    expect_ram(&memory, 300 * KIB_PER_MIB);
    expect_same(&memory, &plain, cpu_keys);
    expect_cpus(&both, 1);
    expect_ram(&both, 300 * KIB_PER_MIB);
}

Test(capacity, a_process_that_is_moved_is_told_of_its_new_cgroup)
{
    struct box *wide = box_new(NULL, (struct box_limits){.memory = 500 * MIB});
    struct box *small = box_new(NULL, (struct box_limits){.memory = 200 * MIB, .cpu_percent = 100});
    struct run run = start_sizes(wide, "PLIMSOLL_REPORT=cpus,memory", "0");
    expect_ram(&run, 500 * KIB_PER_MIB);
    run_move(&run, small);
    expect_ram(&run, 200 * KIB_PER_MIB);
    expect_cpus(&run, 1);
    run_stop(&run);
}
