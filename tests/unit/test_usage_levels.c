/* Which of several limits binds, and how much can be moved to swap, on a made-up kernel. */
#include "usage_kernel.h"

#include <criterion/criterion.h>

TestSuite(usage_levels, .fini = fake_end);

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

Test(usage_levels, level_that_is_fullest_binds_however_many_have_limits)
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

Test(usage_levels, level_that_is_fullest_binds_not_the_one_that_is_past_by_most_bytes)
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

Test(usage_levels, memory_high_of_0_is_no_limit_to_live_within)
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
Test(usage_levels, swap_is_limited_at_each_level_by_what_is_used_there)
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

Test(usage_levels, swap_is_what_the_group_and_the_machine_have_left_of_it)
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
