/* Page cache: how much may be on its way from a disk, and how often that is read, on a made-up
 * kernel. */
#include "usage_kernel.h"

#include <criterion/criterion.h>

TestSuite(usage_page_cache, .fini = fake_end);

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

Test(usage_page_cache, the_largest_read_ahead_of_the_page_cache_may_be_on_its_way)
{
    group_with_cache(GiB, 300 * MiB);
    add_window("253:0", "128");
    add_window("254:0", "8192");
    add_window("0:42", "4096");
    usage_begin();
    expect_cache(GiB, 300 * MiB, 8 * MiB);
}

Test(usage_page_cache, no_more_is_on_its_way_than_there_is_page_cache)
{
    group_with_cache(GiB, 5 * MiB);
    add_window("254:0", "8192");
    usage_begin();
    expect_cache(GiB, 5 * MiB, 5 * MiB);
}

Test(usage_page_cache, between_two_windows_of_a_reader_the_last_one_counts)
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
Test(usage_page_cache, a_window_counts_from_when_it_was_seen_last_whatever_was_there_before)
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

Test(usage_page_cache, an_eighth_of_the_limit_is_on_its_way_at_most)
{
    group_with_cache(64 * MiB, 40 * MiB);
    add_window("0:30", "15360"); /* as for NFS */
    usage_begin();
    expect_cache(64 * MiB, 40 * MiB, 8 * MiB);
}

Test(usage_page_cache, read_ahead_is_the_usual_one_where_it_cannot_be_read)
{
    group_with_cache(GiB, 300 * MiB);
    usage_begin();
    expect_cache(GiB, 300 * MiB, 128 * KiB);
}

Test(usage_page_cache, read_ahead_that_makes_no_sense_is_passed_over)
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
Test(usage_page_cache, only_the_watcher_reads_what_the_devices_have)
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

Test(usage_page_cache, page_cache_that_was_slow_to_read_is_read_again_by_whoever_looks)
{
    read_slowly(40 * NS_PER_MS);
    expect_usage(WITH_CACHE);
    fake_pass(NS_PER_S / 2);
    expect_usage(WITH_CACHE);
    fake_pass(NS_PER_S / 2);
    expect_usage(WITHOUT);
}

Test(usage_page_cache, and_sooner_where_it_was_less_slow)
{
    read_slowly(200 * 1000);
    expect_usage(WITH_CACHE);
    fake_pass(52 * NS_PER_MS);
    expect_usage(WITHOUT);
}

/* A program that asks for free memory gets a new reading in between, and keeps no look from
 * reading. */
Test(usage_page_cache, and_by_whoever_asks_for_what_is_free)
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
