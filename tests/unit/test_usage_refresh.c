/* Which limits are followed, and how they are kept up to date, on a made-up kernel. */
#include "usage.h"

#include "../fuzz/fake_files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct usage usage;

/* --- the made-up kernel --- */

static char files[16 * 1024];
static size_t files_len;

static void add_file(const char *path, const char *text)
{
    int n =
        snprintf(files + files_len, sizeof(files) - files_len, "@@ tree file %s\n%s\n", path, text);
    cr_assert(n > 0 && (size_t)n < sizeof(files) - files_len);
    files_len += (size_t)n;
}

static void add_number(const char *dir, const char *name, uint64_t value)
{
    char path[512], text[32] = "max";
    snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", dir, name);
    if (value != UNLIMITED)
        snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    add_file(path, text);
}

static void add_level(const char *dir, uint64_t limit, uint64_t charge)
{
    add_number(dir, "memory.max", limit);
    add_number(dir, "memory.current", charge);
}

/* Starts over with a process in that cgroup, on a machine with v2 only. */
static void process_in(const char *dir)
{
    char line[512];
    files_len = 0;
    snprintf(line, sizeof(line), "0::%s", dir);
    add_file("/proc/self/cgroup", line);
    add_file("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
    add_file("/proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB");
}

/* From now on the kernel has the files that were added. */
static void kernel_begin(void)
{
    fake_begin((const uint8_t *)files, files_len);
}

static void usage_begin(void)
{
    struct options options;
    options_parse(NULL, &options, NULL, NULL);
    kernel_begin();
    usage_init(&usage, &options.wish);
}

static struct usage_sample look(void)
{
    struct usage_sample sample;
    usage_read(&usage, 0, 0, true, &sample);
    return sample;
}

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

/* --- which level binds --- */

enum { DEEP = 12 };

/* A chain of cgroups that all have limits: the leaf 1 GiB, each one above 1 GiB more. The one with
 * number `full` (0: the topmost) is charged all but 10 MiB of its limit, the others little. */
static void deep_chain(int full)
{
    char dir[256] = "";
    for (int i = 0; i < DEEP; i++)
        strcat(dir, "/below");
    process_in(dir);
    for (int i = DEEP - 1; i >= 0; i--) {
        uint64_t limit = (uint64_t)(DEEP - i) * GiB;
        add_level(dir, limit, i == full ? limit - 10 * MiB : 100 * MiB);
        *strrchr(dir, '/') = '\0';
    }
}

Test(usage_refresh, level_that_is_fullest_binds_however_many_have_limits)
{
    for (int full = 0; full < DEEP; full++) {
        deep_chain(full);
        usage_begin();
        struct usage_sample sample = look();
        cr_expect_eq(sample.limits.hard, (uint64_t)(DEEP - full) * GiB, "level %d", full);
        cr_expect_eq(sample.usage, sample.limits.hard - 10 * MiB, "level %d", full);
        usage_close_files(&usage);
        fake_end();
        memset(&usage, 0, sizeof(usage));
    }
    kernel_begin();
}

/* A pod of 64 MiB on a node of 1400 MiB that is past its soft limit. */
static struct usage_sample look_in_pod(uint64_t pod, uint64_t node, uint64_t request)
{
    struct usage_sample sample;
    process_in("/node/pod");
    add_level("/node", 1400 * MiB, node);
    add_level("/node/pod", 64 * MiB, pod);
    usage_begin();
    usage_read(&usage, 0, request, true, &sample);
    usage_close_files(&usage);
    fake_end();
    memset(&usage, 0, sizeof(usage));
    return sample;
}

Test(usage_refresh, level_that_is_fullest_binds_not_the_one_that_is_past_by_most_bytes)
{
    struct usage_sample sample = look_in_pod(61 * MiB, 1290 * MiB, 0);
    cr_expect_eq(sample.limits.hard, 64 * MiB);
    cr_expect_eq(sample.nearer, 0u);
    sample = look_in_pod(40 * MiB, 1290 * MiB, 0);
    cr_expect_eq(sample.limits.hard, 1400 * MiB);
    cr_expect_eq(sample.nearer, (110 - 24) * MiB, "the pod has less room all the same");
    sample = look_in_pod(40 * MiB, 1290 * MiB, 20 * MiB);
    cr_expect_eq(sample.limits.hard, 64 * MiB, "with the request");
    kernel_begin();
}

Test(usage_refresh, memory_high_of_0_is_no_limit_to_live_within)
{
    process_in("/here");
    add_level("/here", 64 * MiB, 30 * MiB);
    add_number("/here", "memory.high", 0);
    usage_begin();
    cr_expect_eq(look().limits.hard, 64 * MiB);
    usage_close_files(&usage);
}

/* --- swap --- */

/* What a group of 64 MiB at its limit can still move to swap. */
static uint64_t swap_room(uint64_t limit, uint64_t swapped, const char *swappiness)
{
    process_in("/here");
    add_level("/here", 64 * MiB, 63 * MiB);
    add_number("/here", "memory.swap.max", limit);
    add_number("/here", "memory.swap.current", swapped);
    if (swappiness != NULL)
        add_file("/proc/sys/vm/swappiness", swappiness);
    usage_begin();
    uint64_t room = look().swap_room;
    usage_close_files(&usage);
    fake_end();
    memset(&usage, 0, sizeof(usage));
    return room;
}

/* Other groups below the outer one have used up most of what it allows. */
Test(usage_refresh, swap_is_limited_at_each_level_by_what_is_used_there)
{
    fake_swap_free(100 * MiB);
    process_in("/outer/here");
    add_level("/outer", 64 * MiB, 63 * MiB);
    add_number("/outer", "memory.swap.max", 40 * MiB);
    add_number("/outer", "memory.swap.current", 38 * MiB);
    add_level("/outer/here", UNLIMITED, 30 * MiB);
    add_number("/outer/here", "memory.swap.max", 20 * MiB);
    add_number("/outer/here", "memory.swap.current", 5 * MiB);
    add_file("/proc/sys/vm/swappiness", "60");
    usage_begin();
    cr_expect_eq(look().swap_room, 2 * MiB);
    usage_close_files(&usage);
    fake_swap_free(0);
}

Test(usage_refresh, swap_is_what_the_group_and_the_machine_have_left_of_it)
{
    fake_swap_free(100 * MiB);
    cr_expect_eq(swap_room(UNLIMITED, 5 * MiB, "60"), 100 * MiB);
    cr_expect_eq(swap_room(40 * MiB, 5 * MiB, "60"), 35 * MiB);
    cr_expect_eq(swap_room(200 * MiB, 5 * MiB, "60"), 100 * MiB);
    cr_expect_eq(swap_room(40 * MiB, 50 * MiB, "60"), 0u);
    cr_expect_eq(swap_room(0, 0, "60"), 0u);
    cr_expect_eq(swap_room(40 * MiB, 5 * MiB, "0"), 0u, "the kernel kills first");
    cr_expect_eq(swap_room(40 * MiB, 5 * MiB, NULL), 0u);
    fake_swap_free(0);
    cr_expect_eq(swap_room(UNLIMITED, 5 * MiB, "60"), 0u);
    kernel_begin();
}

/* --- page cache --- */

static void add_window(const char *device, const char *kib)
{
    char path[128];
    snprintf(path, sizeof(path), "/sys/class/bdi/%s/read_ahead_kb", device);
    add_file(path, kib);
}

/* A group at its limit, with that much page cache. */
static void group_with_cache(uint64_t limit, uint64_t cache)
{
    char text[64];
    process_in("/here");
    add_level("/here", limit, limit);
    snprintf(text, sizeof(text), "inactive_file %llu", (unsigned long long)cache);
    add_file("/sys/fs/cgroup/here/memory.stat", text);
}

static void expect_cache(uint64_t limit, uint64_t cache, uint64_t on_the_way)
{
    struct usage_sample sample = look();
    cr_expect_eq(sample.usage, limit - cache);
    cr_expect_eq(sample.on_the_way, on_the_way, "%llu KiB",
                 (unsigned long long)(sample.on_the_way / KiB));
}

Test(usage_refresh, the_largest_read_ahead_of_the_page_cache_may_be_on_its_way)
{
    group_with_cache(GiB, 300 * MiB);
    add_window("253:0", "128");
    add_window("254:0", "8192");
    add_window("0:42", "4096");
    usage_begin();
    expect_cache(GiB, 300 * MiB, 8 * MiB);
}

Test(usage_refresh, no_more_is_on_its_way_than_there_is_page_cache)
{
    group_with_cache(GiB, 5 * MiB);
    add_window("254:0", "8192");
    usage_begin();
    expect_cache(GiB, 5 * MiB, 5 * MiB);
}

Test(usage_refresh, between_two_windows_of_a_reader_the_last_one_counts)
{
    group_with_cache(GiB, 5 * MiB);
    add_window("254:0", "8192");
    usage_begin();
    expect_cache(GiB, 5 * MiB, 5 * MiB);
    fake_end();
    group_with_cache(GiB, MiB);
    kernel_begin();
    expect_cache(GiB, MiB, 5 * MiB);
    fake_pass(NS_PER_S);
    expect_cache(GiB, MiB, MiB);
}

/* More page cache than a window tells no more about readers than one window does. */
Test(usage_refresh, a_window_counts_from_when_it_was_seen_last_whatever_was_there_before)
{
    const uint64_t seen[] = {40 * MiB, 8 * MiB, MiB};
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        group_with_cache(GiB, seen[i]);
        add_window("254:0", "8192");
        i == 0 ? usage_begin() : kernel_begin();
        expect_cache(GiB, seen[i], 8 * MiB);
        fake_pass(700 * NS_PER_MS);
        fake_end();
    }
    kernel_begin();
}

Test(usage_refresh, an_eighth_of_the_limit_is_on_its_way_at_most)
{
    group_with_cache(64 * MiB, 40 * MiB);
    add_window("0:30", "15360"); /* as for NFS */
    usage_begin();
    expect_cache(64 * MiB, 40 * MiB, 8 * MiB);
}

Test(usage_refresh, read_ahead_is_the_usual_one_where_it_cannot_be_read)
{
    group_with_cache(GiB, 300 * MiB);
    usage_begin();
    expect_cache(GiB, 300 * MiB, 128 * KiB);
}

Test(usage_refresh, read_ahead_that_makes_no_sense_is_passed_over)
{
    group_with_cache(GiB, 300 * MiB);
    add_window("0:1", "-1");
    add_window("0:2", "99999999999999999999");
    add_window("0:3", "18446744073709551615");
    add_window("0:4", "0");
    usage_begin();
    expect_cache(GiB, 300 * MiB, 128 * KiB);
}

/* An allocating thread waits for one file at most. */
Test(usage_refresh, only_the_watcher_reads_what_the_devices_have)
{
    struct usage_sample sample;
    group_with_cache(GiB, 300 * MiB);
    add_window("254:0", "8192");
    usage_begin();
    usage_read(&usage, 0, 0, false, &sample);
    cr_expect_eq(sample.on_the_way, 128 * KiB);
    cr_expect_eq(fake_opened("read_ahead_kb"), 0);
    expect_cache(GiB, 300 * MiB, 8 * MiB);
    expect_cache(GiB, 300 * MiB, 8 * MiB);
    cr_expect_eq(fake_opened("read_ahead_kb"), 1);
}

/* --- page cache that is dear to read --- */

enum { WITH_CACHE = 700, WITHOUT = 1024 }; /* MiB in use, as read for a group_with_cache() */

/* A look of a thread that may not wait, and what it finds in use. */
static void expect_usage(uint64_t mib)
{
    struct usage_sample sample;
    usage_read(&usage, 0, 0, false, &sample);
    cr_expect_eq(sample.usage, mib * MiB, "%llu MiB", (unsigned long long)(sample.usage / MiB));
}

/* The reading in a look of such a thread was slow; then the page cache was dropped. */
static void read_slowly(uint64_t ns)
{
    group_with_cache(GiB, (WITHOUT - WITH_CACHE) * MiB);
    usage_begin();
    fake_slow(ns);
    expect_usage(WITH_CACHE);
    fake_slow(0);
    fake_end();
    group_with_cache(GiB, 0);
    kernel_begin();
}

Test(usage_refresh, page_cache_that_was_slow_to_read_is_read_again_by_whoever_looks)
{
    read_slowly(40 * NS_PER_MS);
    expect_usage(WITH_CACHE);
    fake_pass(NS_PER_S / 2);
    expect_usage(WITH_CACHE);
    fake_pass(NS_PER_S / 2);
    expect_usage(WITHOUT);
}

Test(usage_refresh, and_sooner_where_it_was_less_slow)
{
    read_slowly(200 * 1000);
    expect_usage(WITH_CACHE);
    fake_pass(52 * NS_PER_MS);
    expect_usage(WITHOUT);
}

/* A program that asks for free memory gets a new reading in between, and keeps no look from
 * reading. */
Test(usage_refresh, and_by_whoever_asks_for_what_is_free)
{
    struct memory_size now;
    read_slowly(40 * NS_PER_MS);
    usage_memory(&usage, &now);
    cr_expect_eq(now.free, 0);
    fake_pass(NS_PER_S / 2);
    usage_memory(&usage, &now);
    fake_pass(NS_PER_S / 2);
    fake_end();
    group_with_cache(GiB, (WITHOUT - WITH_CACHE) * MiB);
    kernel_begin();
    expect_usage(WITH_CACHE);
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
