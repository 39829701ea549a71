/* How limits are kept up to date, and what that costs, on a made-up kernel. */
#include "usage_kernel.h"

#include <criterion/criterion.h>

TestSuite(usage_refresh, .fini = fake_end);

/* --- memory of the machine --- */

Test(usage_refresh, machine_that_is_given_memory_has_it_as_its_limit)
{
    process_in("/");
    fake_ram(GiB);
    usage_begin();
    cr_expect_eq(look().limits.source, LIMITS_MACHINE);
    cr_expect_eq(look().limits.hard, GiB);
    fake_ram(4 * GiB);
    usage_refresh(&usage);
    cr_expect_eq(look().limits.hard, 4 * GiB);
    fake_ram(UNLIMITED); /* cannot be read */
    usage_refresh(&usage);
    cr_expect_eq(look().limits.hard, 4 * GiB);
    fake_ram(2 * GiB);
    usage_refresh(&usage);
    cr_expect_eq(look().limits.hard, 2 * GiB);
}

/* Of the cgroup's limit and the machine's memory the one that is smaller at the moment counts. */
Test(usage_refresh, limit_above_the_memory_at_the_start_counts_once_there_is_more)
{
    process_in("/here");
    add_level("/here", 3 * GiB, 100 * MiB);
    fake_ram(GiB);
    usage_begin();
    cr_expect_eq(look().limits.source, LIMITS_MACHINE);
    fake_ram(4 * GiB);
    usage_refresh(&usage);
    cr_expect_eq(look().limits.source, LIMITS_CGROUP);
    cr_expect_eq(look().limits.hard, 3 * GiB);
    cr_expect_eq(look().usage, 100 * MiB);
    fake_ram(2 * GiB);
    usage_refresh(&usage);
    cr_expect_eq(look().limits.source, LIMITS_MACHINE);
}

/* --- moves --- */

/* As under Kubernetes on v1 with systemd's cgroups: more than 2 KiB before the line that counts. */
static void process_in_many(const char *memory)
{
    const char *const others[] = {"cpuset",  "cpu,cpuacct", "blkio",      "devices",
                                  "freezer", "net_cls",     "perf_event", "hugetlb",
                                  "pids",    "rdma",        "misc"};
    char text[4096] = "", pod[201];
    size_t len = 0;
    memset(pod, 'p', sizeof(pod) - 1);
    pod[sizeof(pod) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%zu:%s:/kubepods.slice/%s.scope\n",
                                i + 2, others[i], pod);
    cr_assert_gt(len, 2048u);
    snprintf(text + len, sizeof(text) - len, "1:memory:%s", memory);
    files_len = 0;
    add_file("/proc/self/cgroup", text);
    add_file("/proc/self/mountinfo",
             "30 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory");
    add_number("/memory/here", "memory.limit_in_bytes", GiB);
    add_number("/memory/there", "memory.limit_in_bytes", 2 * GiB);
}

Test(usage_refresh, move_is_seen_however_many_hierarchies_are_told_of_before)
{
    process_in_many("/here");
    usage_begin();
    cr_expect_eq(look().limits.hard, GiB);
    fake_end();
    process_in_many("/there");
    kernel_begin();
    usage_refresh(&usage);
    cr_expect_eq(look().limits.hard, 2 * GiB);
}

/* --- what one refresh costs --- */

/* How often limits were read, and the mounts, which only resolving the cgroup anew reads. */
static void expect_reads(unsigned limits, unsigned mounts)
{
    cr_expect_eq(fake_opened("memory.max"), limits, "%u, not %u", fake_opened("memory.max"),
                 limits);
    cr_expect_eq(fake_opened("mountinfo"), mounts);
}

static void two_groups(const char *own)
{
    process_in(own);
    add_level("/here", GiB, 100 * MiB);
    add_level("/there", 2 * GiB, 100 * MiB);
}

Test(usage_refresh, forked_child_that_was_not_moved_resolves_nothing)
{
    two_groups("/here");
    usage_begin();
    fake_end();
    kernel_begin();
    usage_refresh(&usage);
    expect_reads(1, 0);
    cr_expect_eq(look().limits.hard, GiB);
    expect_reads(2, 0);
}

Test(usage_refresh, forked_child_that_was_moved_reads_the_new_limits_once)
{
    two_groups("/here");
    usage_begin();
    fake_end();
    two_groups("/there");
    kernel_begin();
    usage_refresh(&usage);
    expect_reads(1, 1);
    cr_expect_eq(look().limits.hard, 2 * GiB);
    expect_reads(2, 1);
}

Test(usage_refresh, limit_changed_between_refresh_and_look_is_seen)
{
    two_groups("/here");
    usage_begin();
    fake_end();
    two_groups("/there");
    kernel_begin();
    usage_refresh(&usage);
    fake_end();
    process_in("/there");
    add_level("/there", 512 * MiB, 100 * MiB);
    kernel_begin();
    cr_expect_eq(look().limits.hard, 512 * MiB);
}
