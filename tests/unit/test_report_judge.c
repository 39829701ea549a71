/* The judge of plimsoll report: its verdicts on made-up samples. Figures in MiB, under a limit of
 * 100. */
#include "../../src/cmd/report.h"
#include "../../src/limits.h"

#include <criterion/criterion.h>

enum { SAMPLES = 32, HARD = 100 };

static struct record_sample samples[SAMPLES];
static struct flight flight;
static struct verdict verdict;

static void set(enum page_field field, uint64_t value)
{
    flight.values[field] = value;
    flight.have[field] = true;
}

static void begin(void)
{
    flight = (struct flight){.samples = samples, .from_page = true, .life = PAGE_DEAD};
    set(PAGE_SOURCE, LIMITS_CGROUP);
    set(PAGE_LEVEL, PAGE_LEVEL_CRITICAL);
    set(PAGE_HARD, HARD * MiB);
    set(PAGE_CGROUP_MAX, HARD * MiB);
    set(PAGE_CGROUP_HIGH, UNLIMITED);
}

TestSuite(report_judge, .init = begin);

/* Adds a sample of one look, 100 ms after the previous one. */
static struct record_sample *add(uint64_t usage, uint64_t active, uint64_t request)
{
    struct record_sample *s = &samples[flight.sample_count++];
    *s = (struct record_sample){
        .at_ns = flight.sample_count * 100 * NS_PER_MS,
        .usage = usage * MiB,
        .committed = active * MiB,
        .active = active * MiB,
        .soft = HARD * 9 / 10 * MiB,
        .hard = HARD * MiB,
        .request = request * MiB,
        .looks = 1,
    };
    return s;
}

/* Adds samples of a process whose heap is all there is. */
static void grow(uint64_t from, uint64_t to, uint64_t step)
{
    for (uint64_t mib = from; mib <= to; mib += step)
        add(mib, mib, 0);
}

static void expect_request(uint64_t size, uint64_t room, uint64_t needed)
{
    report_judge(&flight, &verdict);
    cr_expect_eq(verdict.cause, REPORT_REQUEST);
    cr_expect_eq(verdict.request.size, size * MiB);
    cr_expect_eq(verdict.request.room, room * MiB, "room %lu", verdict.request.room / MiB);
    cr_expect_eq(verdict.needed, needed * MiB, "needed %lu", verdict.needed / MiB);
}

static void expect_live(void)
{
    report_judge(&flight, &verdict);
    cr_expect_eq(verdict.cause, REPORT_LIVE, "cause %d", (int)verdict.cause);
}

/* Beside other processes that use 8 MiB, which shows only once the block is full. */
Test(report_judge, block_that_is_being_filled_is_the_heap_s)
{
    for (uint64_t usage = 12; usage <= 96; usage += 6)
        add(usage, 88, 0);
    expect_live();
}

Test(report_judge, request_with_room_for_it_is_not_to_blame_at_a_limit_reached_later)
{
    grow(20, 40, 10);
    add(41, 41, 32);
    grow(42, 98, 4);
    add(100, 100, 0);
    expect_live();
}

Test(report_judge, request_that_was_freed_is_not_to_blame)
{
    grow(20, 80, 10);
    add(80, 80, 32);
    add(85, 112, 0);
    grow(81, 99, 2);
    expect_live();
}

Test(report_judge, nor_is_one_that_was_freed_before_any_other_look)
{
    grow(20, 80, 10);
    add(80, 80, 32);
    grow(81, 99, 2);
    expect_live();
}

Test(report_judge, request_that_is_touched_to_the_end_is_to_blame)
{
    grow(20, 60, 10);
    add(60, 60, 200);
    add(70, 260, 0);
    add(90, 260, 0);
    add(99, 260, 0);
    expect_request(200, 40, 260);
}

Test(report_judge, so_is_one_that_nothing_was_seen_after)
{
    grow(20, 60, 10);
    add(60, 60, 200);
    expect_request(200, 40, 260);
}

Test(report_judge, and_one_that_still_waits_for_room)
{
    grow(20, 60, 10);
    add(60, 60, 200);
    add(60, 60, 0)->events = PAGE_EVENT_THROTTLE;
    add(90, 260, 0);
    expect_request(200, 40, 260);
}

Test(report_judge, a_leak_after_a_request_that_is_hardly_touched_is_to_blame)
{
    grow(20, 30, 10);
    add(30, 30, 200);
    add(31, 230, 0);
    for (uint64_t mib = 34; mib <= 100; mib += 6)
        add(mib, mib + 199, 0);
    expect_live();
    cr_expect_eq(verdict.needed, 100 * MiB);
}

Test(report_judge, request_and_its_touching_may_be_in_one_sample)
{
    grow(20, 60, 10);
    add(95, 262, 200)->looks = 5; /* 2 MiB more than the request */
    expect_request(200, 38, 262);
}

Test(report_judge, which_may_be_the_only_one)
{
    add(95, 230, 200)->looks = 5;
    expect_request(200, 70, 230);
    begin();
    add(95, 95, 30)->looks = 5; /* 65 MiB may have been there before */
    report_judge(&flight, &verdict);
    cr_expect_neq(verdict.cause, REPORT_REQUEST);
}

Test(report_judge, room_holds_the_free_pages_of_the_heap)
{
    struct record_sample *s;
    grow(20, 60, 10);
    s = add(90, 50, 45);
    s->committed = 90 * MiB;
    s->dirty = 40 * MiB;
    add(95, 95, 0);
    report_judge(&flight, &verdict);
    cr_expect_neq(verdict.cause, REPORT_REQUEST);
}

Test(report_judge, temporary_buffer_beside_a_leak_is_measured_against_the_room_without_it)
{
    grow(20, 80, 10);
    add(89, 89, 0);
    add(97, 97, 8)->looks = 4;
    add(90, 90, 0);
    add(99, 99, 0);
    expect_live();
}

Test(report_judge, buffer_that_was_served_before_no_longer_fits_because_of_what_grew)
{
    add(20, 20, 20);
    add(40, 40, 0);
    for (uint64_t mib = 22; mib <= 78; mib += 8)
        add(mib, mib, 0);
    add(82, 82, 20);
    add(99, 102, 0);
    expect_live();
}

Test(report_judge, refused_request_is_the_cause_unless_other_memory_grew)
{
    grow(20, 60, 10);
    add(60, 60, 200);
    add(60, 60, 0)->events = PAGE_EVENT_REFUSED;
    add(60, 60, 0);
    expect_request(200, 40, 260);
    cr_expect(verdict.request.refused);
    grow(70, 100, 10);
    expect_live();
}

Test(report_judge, needed_is_the_highest_in_use_where_that_is_more)
{
    grow(20, 90, 10);
    grow(50, 60, 10);
    add(90, 90, 20);
    add(99, 110, 0);
    expect_request(20, 10, 110);
    begin();
    grow(20, 98, 6);
    add(70, 70, 35);
    add(98, 105, 0);
    expect_request(35, 30, 105);
}

Test(report_judge, pages_that_are_taken_and_not_touched_make_no_usage_outside_the_heap_negative)
{
    add(30, 20, 0); /* 10 MiB are outside the heap */
    add(60, 50, 0);
    add(90, 150, 0);
    report_judge(&flight, &verdict);
    cr_expect_eq(verdict.rise_usage, (int64_t)(60 * MiB));
    cr_expect_eq(verdict.rise_active, (int64_t)(130 * MiB));
    cr_expect_eq(verdict.rise_untouched, (int64_t)(60 * MiB));
    cr_expect_eq(verdict.rise_outside, -(int64_t)(10 * MiB));
    cr_expect_eq(verdict.untouched_end, 60 * MiB);
}

/* --- how it ended --- */

static void expect_end(enum report_end end)
{
    report_judge(&flight, &verdict);
    cr_expect_eq(verdict.end, end, "%d", (int)verdict.end);
}

Test(report_judge, process_that_was_at_a_limit_where_the_kernel_kills_may_have_been_killed)
{
    grow(20, 100, 10);
    expect_end(REPORT_AT_LIMIT);
    flight.values[PAGE_LEVEL]--;
    expect_end(REPORT_GONE);
}

Test(report_judge, no_kernel_kills_at_a_limit_that_no_cgroup_sets)
{
    grow(20, 100, 10);
    set(PAGE_SOURCE, LIMITS_PROCESS);
    expect_end(REPORT_GONE);
    set(PAGE_SOURCE, LIMITS_MACHINE);
    expect_end(REPORT_GONE);
}

Test(report_judge, nor_where_usage_may_pass_the_limit)
{
    grow(20, 100, 10);
    add(119, 119, 0);
    expect_end(REPORT_GONE);
}

Test(report_judge, nor_at_memory_high)
{
    grow(20, 100, 10);
    set(PAGE_CGROUP_HIGH, HARD * MiB);
    expect_end(REPORT_AT_LIMIT);
    set(PAGE_CGROUP_MAX, (HARD + 20) * MiB);
    expect_end(REPORT_GONE);
}

Test(report_judge, process_that_runs_another_program_has_not_ended)
{
    grow(20, 100, 10);
    flight.life = PAGE_REPLACED;
    expect_end(REPORT_REPLACED);
}

Test(report_judge, what_is_not_known_is_no_figure)
{
    flight = (struct flight){0};
    report_judge(&flight, &verdict);
    cr_expect_eq(verdict.usage, UNLIMITED);
    cr_expect_eq(verdict.peak, UNLIMITED);
    cr_expect_eq(verdict.needed_limit, UNLIMITED);
    cr_expect_eq(verdict.dirty_end, UNLIMITED);
    cr_expect_not(verdict.limit_known);
    set(PAGE_USAGE, 7 * MiB);
    set(PAGE_HARD, UNLIMITED);
    report_judge(&flight, &verdict);
    cr_expect_eq(verdict.peak, 7 * MiB);
    cr_expect(verdict.limit_known);
}
