/* The stats page: its table of figures, its ring, and that no contents can hurt a reader. */
#include "stats_page.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct page *page;

static void setup(void)
{
    page = calloc(1, sizeof(*page));
    page_begin(&page->header);
    page->header.pid = 1234;
    page->header.start_time = 99;
    memcpy(page->header.comm, "sixteen bytes...", sizeof(page->header.comm));
    for (unsigned i = 0; i < PAGE_FIELD_COUNT; i++)
        page->snapshot.values[i] = 1000 + i;
    page_seal(&page->header);
}

static void teardown(void)
{
    free(page);
}

TestSuite(page, .init = setup, .fini = teardown);

static int parse(size_t len, struct page_view *view)
{
    memset(view, 0x5a, sizeof(*view));
    return page_parse(page, len, view);
}

static void add(uint64_t ms, uint8_t level, uint8_t events, uint32_t usage)
{
    struct page_sample look = {.at_ns = ms * NS_PER_MS,
                               .level = level,
                               .events = events,
                               .usage = usage,
                               .committed = usage / 2,
                               .purged = 1,
                               .looks = 1};
    page_ring_add(page->ring, &page->snapshot.written, &look);
}

Test(page, names_are_those_of_metrics_and_tell_the_unit)
{
    for (unsigned i = 0; i < PAGE_FIELD_COUNT; i++) {
        const char *name = page_fields[i].name;
        size_t len = strlen(name);
        bool bytes = len > 6 && strcmp(name + len - 6, "_bytes") == 0;
        bool seconds = len > 8 && strcmp(name + len - 8, "_seconds") == 0;
        for (const char *c = name; *c != '\0'; c++)
            cr_expect(islower(*c) || *c == '_', "%s", name);
        cr_expect_eq(bytes, page_fields[i].unit == PAGE_BYTES, "%s", name);
        cr_expect_eq(seconds, page_fields[i].unit == PAGE_NS, "%s", name);
        cr_expect_null(strstr(name, "_total"), "%s", name);
        cr_expect(page_fields[i].help[strlen(page_fields[i].help) - 1] == '.', "%s", name);
        for (unsigned j = 0; j < i; j++)
            cr_expect_str_neq(name, page_fields[j].name);
    }
}

Test(page, what_is_written_is_read)
{
    struct page_view view;
    cr_assert_eq(parse(sizeof(*page), &view), 0);
    cr_expect_eq(view.pid, 1234);
    cr_expect_eq(view.start_time, 99);
    cr_expect_str_eq(view.comm, "sixteen bytes..");
    cr_expect_eq(view.known, (unsigned)PAGE_FIELD_COUNT);
    for (unsigned i = 0; i < PAGE_FIELD_COUNT; i++)
        cr_expect_eq(view.values[i], 1000 + i);
    cr_expect_not_null(view.ring);
    cr_expect_eq(page_sample_count(&view), 0);
}

Test(page, without_the_ring_the_figures_are_still_read)
{
    struct page_view view;
    cr_assert_eq(parse(offsetof(struct page, mailbox), &view), 0);
    cr_expect_eq(view.values[PAGE_USAGE], 1000 + PAGE_USAGE);
    cr_expect_null(view.ring);
    page->snapshot.written = 5;
    cr_assert_eq(parse(offsetof(struct page, mailbox), &view), 0);
    cr_expect_eq(page_sample_count(&view), 0);
}

Test(page, every_length_is_read_or_refused)
{
    struct page_view view;
    for (size_t len = 0; len < 4096; len++) {
        char *exact = malloc(len > 0 ? len : 1);
        memcpy(exact, page, len);
        memset(&view, 0x5a, sizeof(view));
        int rc = page_parse(exact, len, &view);
        cr_assert_eq(rc, len < sizeof(struct page_header) + sizeof(struct page_snapshot) ? -EBADMSG
                                                                                         : 0);
        free(exact);
    }
}

Test(page, foreign_files_are_refused)
{
    struct page_view view;
    page->header.magic[7] = 'e';
    cr_expect_eq(parse(sizeof(*page), &view), -EBADMSG);
    cr_expect_eq(view.pid, 0x5a5a5a5a5a5a5a5a, "the result was touched");
    page_seal(&page->header);
    page->header.major++;
    cr_expect_eq(parse(sizeof(*page), &view), -EBADMSG);
    memset((void *)page, 0xff, sizeof(*page));
    cr_expect_eq(parse(sizeof(*page), &view), -EBADMSG);
    memset((void *)page, 0, sizeof(*page));
    cr_expect_eq(parse(sizeof(*page), &view), -EBADMSG);
}

Test(page, offsets_and_counts_that_lead_outside_are_not_followed)
{
    static const uint32_t bad[] = {
        1, 255, 4095, sizeof(struct page), 0x7ffffff8, UINT32_MAX - 7, UINT32_MAX};
    struct page_view view;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        page->header.snapshot_at = bad[i];
        cr_expect_eq(parse(sizeof(*page), &view), -EBADMSG, "snapshot at %u", bad[i]);
        page->header.snapshot_at = offsetof(struct page, snapshot);
        page->header.ring_at = bad[i];
        cr_expect_eq(parse(sizeof(*page), &view), 0);
        cr_expect_null(view.ring, "ring at %u", bad[i]);
        page->header.ring_at = offsetof(struct page, ring);
        page->header.sample_count = bad[i] == 1 ? 0 : bad[i];
        cr_expect_eq(parse(sizeof(*page), &view), 0);
        cr_expect_null(view.ring, "%u samples", bad[i]);
        page->header.sample_count = PAGE_SAMPLES;
    }
    page->header.sample_size = 32;
    cr_expect_eq(parse(sizeof(*page), &view), 0);
    cr_expect_null(view.ring);
}

Test(page, fields_of_a_newer_library_are_left_aside_and_of_an_older_one_are_0)
{
    struct page_view view;
    page->header.field_count = PAGE_FIELDS_MAX;
    cr_assert_eq(parse(sizeof(*page), &view), 0);
    cr_expect_eq(view.known, (unsigned)PAGE_FIELD_COUNT);
    page->header.field_count = UINT32_MAX;
    cr_assert_eq(parse(sizeof(*page), &view), 0);
    cr_expect_eq(view.known, (unsigned)PAGE_FIELD_COUNT);
    page->header.field_count = PAGE_USAGE + 1;
    cr_assert_eq(parse(sizeof(*page), &view), 0);
    cr_expect_eq(view.values[PAGE_USAGE], 1000 + PAGE_USAGE);
    cr_expect_eq(view.values[PAGE_SOFT], 0);
}

Test(page, a_write_makes_the_sequence_odd_and_then_even)
{
    struct page_snapshot *s = &page->snapshot;
    page_write_begin(s);
    cr_expect_eq(s->sequence, 1);
    page_write_end(s);
    cr_expect_eq(s->sequence, 2);
    s->sequence = 7; /* odd: a writer was interrupted */
    page_write_begin(s);
    page_write_end(s);
    cr_expect_eq(s->sequence, 8);
}

Test(page, bytes_are_packed_upwards_and_no_limit_stays_none)
{
    cr_expect_eq(page_pack(0), 0);
    cr_expect_eq(page_pack(1), 1);
    cr_expect_eq(page_pack(4096), 1);
    cr_expect_eq(page_pack(4097), 2);
    cr_expect_eq(page_unpack(page_pack(GiB)), GiB);
    cr_expect_eq(page_unpack(page_pack(UNLIMITED)), UNLIMITED);
    cr_expect_eq(page_unpack(page_pack((uint64_t)1 << 62)), UNLIMITED);
}

Test(page, looks_in_quick_succession_are_one_sample_with_the_highest_usage)
{
    add(0, 0, 0, 10);
    add(100, 0, 0, 30);
    add(200, 0, 0, 20);
    cr_assert_eq(page->snapshot.written, 1);
    cr_expect_eq(page->ring[0].looks, 3);
    cr_expect_eq(page->ring[0].usage, 30);
    cr_expect_eq(page->ring[0].committed, 15);
    cr_expect_eq(page->ring[0].purged, 3);
    cr_expect_eq(page->ring[0].span_us, 200000);
    add(300, 0, 0, 20);
    cr_expect_eq(page->snapshot.written, 2);
}

Test(page, decisions_and_changes_of_level_are_samples_of_their_own)
{
    add(0, 0, 0, 10);
    add(1, 1, PAGE_EVENT_LEVEL, 20);
    add(2, 1, PAGE_EVENT_PURGE, 20);
    add(3, 1, PAGE_EVENT_PURGE | PAGE_EVENT_THROTTLE, 20);
    add(4, 1, 0, 20);
    add(5, 1, PAGE_EVENT_MEETS | PAGE_EVENT_CANNOT, 20);
    add(6, 1, PAGE_EVENT_CANNOT, 20);
    add(7, 1, PAGE_EVENT_CANNOT, 20);
    const uint8_t expected[] = {0, PAGE_EVENT_LEVEL | PAGE_EVENT_PURGE | PAGE_EVENT_THROTTLE, 0,
                                PAGE_EVENT_MEETS | PAGE_EVENT_CANNOT, PAGE_EVENT_CANNOT};
    cr_assert_eq(page->snapshot.written, ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        cr_expect_eq(page->ring[i].events, expected[i], "%zu: %x", i, page->ring[i].events);
}

Test(page, the_ring_covers_two_minutes_of_a_decision_every_millisecond)
{
    struct page_view view;
    const uint64_t last = 300 * 1000;
    for (uint64_t ms = 0; ms <= last; ms++)
        add(ms, 2, PAGE_EVENT_PURGE, (uint32_t)ms);
    cr_assert_eq(parse(sizeof(*page), &view), 0);
    cr_assert_eq(page_sample_count(&view), PAGE_SAMPLES);
    struct page_sample oldest = page_sample_at(&view, 0);
    cr_expect_leq(oldest.at_ns, (last - 120 * 1000) * NS_PER_MS);
    for (unsigned i = 1; i < PAGE_SAMPLES; i++)
        cr_assert_gt(page_sample_at(&view, i).at_ns, page_sample_at(&view, i - 1).at_ns);
    cr_expect_eq(page_sample_at(&view, PAGE_SAMPLES - 1).usage, last);
}

Test(page, a_count_of_samples_beyond_belief_stays_inside_the_ring)
{
    struct page_view view;
    page->snapshot.written = UINT64_MAX;
    cr_assert_eq(parse(sizeof(*page), &view), 0);
    cr_assert_eq(page_sample_count(&view), PAGE_SAMPLES);
    for (unsigned i = 0; i < PAGE_SAMPLES; i++)
        cr_assert_eq(page_sample_at(&view, i).looks, 0);
}

Test(page, sums_of_a_sample_do_not_overflow)
{
    struct page_sample look = {.looks = 1, .purged = UINT32_MAX - 1, .throttle_us = UINT32_MAX};
    for (unsigned i = 0; i < 3; i++)
        page_ring_add(page->ring, &page->snapshot.written, &look);
    cr_expect_eq(page->snapshot.written, 1);
    cr_expect_eq(page->ring[0].purged, UINT32_MAX);
    cr_expect_eq(page->ring[0].throttle_us, UINT32_MAX);
}
