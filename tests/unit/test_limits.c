/* From a hard limit to the lines below it. */
#include "cgroup.h"
#include "limits.h"

#include <criterion/criterion.h>

static struct options default_options(void)
{
    struct options o;
    options_parse(NULL, &o, NULL, NULL);
    return o;
}

static struct options with_limit(const char *value)
{
    struct options o = default_options();
    cr_assert_eq(options_set(OPTION_LIMIT, value, &o), 0, "%s", value);
    return o;
}

static struct limits under(uint64_t hard, const struct options *o)
{
    return limits_from_hard(LIMITS_CGROUP, hard, &o->wish);
}

/* 100 MiB, so that whole percentages are whole mebibytes. */
static const uint64_t hundred = 100 * MiB;

Test(limits, default_lines_are_at_85_90_and_95_percent)
{
    struct options o = default_options();
    struct limits l = under(hundred, &o);
    cr_expect_eq(l.source, LIMITS_CGROUP);
    cr_expect_eq(l.hard, hundred);
    cr_expect_eq(l.soft, 90 * MiB);
    cr_expect_eq(l.low, 85 * MiB);
    cr_expect_eq(l.critical, 95 * MiB);
}

Test(limits, source_is_handed_through)
{
    struct options o = default_options();
    const enum limits_source sources[] = {LIMITS_CGROUP, LIMITS_MACHINE, LIMITS_PROCESS};
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        cr_expect_eq(limits_from_hard(sources[i], GiB, &o.wish).source, sources[i]);
}

Test(limits, profile_moves_where_purging_starts_and_nothing_else)
{
    const uint64_t low[] = {
        [PROFILE_RELAXED] = 88 * MiB, [PROFILE_BALANCED] = 85 * MiB, [PROFILE_TIGHT] = 75 * MiB};
    for (unsigned profile = PROFILE_RELAXED; profile <= PROFILE_TIGHT; profile++) {
        struct options o = default_options();
        o.wish.profile = (enum profile)profile;
        struct limits l = under(hundred, &o);
        cr_expect_eq(l.low, low[profile], "profile %u", profile);
        cr_expect_eq(l.soft, 90 * MiB);
        cr_expect_eq(l.critical, 95 * MiB);
    }
}

Test(limits, percent_is_of_the_hard_limit)
{
    struct options o = with_limit("50%");
    struct limits l = under(hundred, &o);
    cr_expect_eq(l.soft, 50 * MiB);
    cr_expect_eq(l.low, 45 * MiB);
    cr_expect_eq(l.critical, 75 * MiB, "half-way to the hard limit");
    o = with_limit("12.5%");
    cr_expect_eq(under(hundred, &o).soft, hundred / 8);
}

Test(limits, bytes_are_taken_as_they_are)
{
    struct options o = with_limit("40MiB");
    struct limits l = under(hundred, &o);
    cr_expect_eq(l.soft, 40 * MiB);
    cr_expect_eq(l.low, 35 * MiB);
    cr_expect_eq(l.critical, 70 * MiB);
}

Test(limits, soft_limit_leaves_two_percent_of_room)
{
    const char *const values[] = {"98%", "99.9%", "100%", "100MiB", "500GiB"};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct options o = with_limit(values[i]);
        cr_expect_eq(under(hundred, &o).soft, 98 * MiB, "%s", values[i]);
    }
}

static void expect_none(struct limits l)
{
    cr_expect_eq(l.source, LIMITS_NONE);
    cr_expect(l.hard == UNLIMITED && l.soft == UNLIMITED && l.low == UNLIMITED &&
              l.critical == UNLIMITED);
}

Test(limits, nothing_limits_where_there_is_no_hard_limit_or_the_option_is_off)
{
    struct options o = default_options();
    expect_none(under(UNLIMITED, &o));
    expect_none(limits_from_hard(LIMITS_NONE, GiB, &o.wish));
    o = with_limit("off");
    expect_none(under(GiB, &o));
    o = with_limit("1GiB");
    expect_none(under(UNLIMITED, &o));
}

Test(limits, lines_are_in_order_for_any_limit)
{
    const char *const values[] = {"1%", "3%", "50%", "90%", "97.999%", "100%", "1MiB", "7GiB"};
    const uint64_t hards[] = {0,
                              1,
                              99,
                              100,
                              4096,
                              MiB - 1,
                              32 * MiB,
                              64 * MiB,
                              GiB + 1,
                              777 * GiB,
                              UINT64_MAX / 100,
                              INT64_MAX,
                              UINT64_MAX - 1};
    for (size_t v = 0; v < ARRAY_LEN(values); v++)
        for (size_t h = 0; h < ARRAY_LEN(hards); h++)
            for (unsigned profile = PROFILE_RELAXED; profile <= PROFILE_TIGHT; profile++) {
                struct options o = with_limit(values[v]);
                o.wish.profile = (enum profile)profile;
                struct limits l = under(hards[h], &o);
                cr_assert(l.low <= l.soft && l.soft <= l.critical && l.critical <= l.hard,
                          "%s of %zu", values[v], (size_t)hards[h]);
                cr_assert_eq(l.hard, hards[h]);
                if (hards[h] >= 4096)
                    cr_assert(l.low < l.soft && l.soft < l.critical && l.critical < l.hard,
                              "%s of %zu", values[v], (size_t)hards[h]);
            }
}

Test(limits, effective_is_the_tightest_of_limit_high_and_ram)
{
    const struct {
        uint64_t hard, high, ram, expected;
    } cases[] = {
        {GiB, UNLIMITED, 8 * GiB, GiB},   {GiB, 512 * MiB, 8 * GiB, 512 * MiB},
        {UNLIMITED, UNLIMITED, GiB, GiB}, {16 * GiB, 12 * GiB, 8 * GiB, 8 * GiB},
        {0, UNLIMITED, GiB, 0},           {UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED},
        {UNLIMITED, GiB, UNLIMITED, GiB}, {GiB, 0, 8 * GiB, GiB},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cgroup_memory memory = {.level_count = 1,
                                             .levels = {{cases[i].hard, cases[i].high, 1}}};
        cr_expect_eq(cgroup_effective_bytes(&memory, cases[i].ram), cases[i].expected, "case %zu",
                     i);
    }
}

static void expect_memory(struct memory_size host, struct memory_size group,
                          struct memory_size expected)
{
    struct memory_size got = limits_memory(&host, &group);
    cr_expect_eq(got.ram, expected.ram, "ram %zu", (size_t)got.ram);
    cr_expect_eq(got.free, expected.free, "free %zu", (size_t)got.free);
    cr_expect_eq(got.swap, expected.swap, "swap %zu", (size_t)got.swap);
    cr_expect_eq(got.swap_free, expected.swap_free, "swap_free %zu", (size_t)got.swap_free);
}

Test(limits, memory_is_the_groups_and_never_more_than_the_hosts)
{
    const struct memory_size host = {64 * GiB, 8 * GiB, 4 * GiB, 3 * GiB};
    const struct memory_size none = {UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED};
    expect_memory(host, none, host);
    expect_memory(host, (struct memory_size){GiB, 300 * MiB, GiB, MiB},
                  (struct memory_size){GiB, 300 * MiB, GiB, MiB});
    expect_memory(host, (struct memory_size){99 * GiB, 98 * GiB, 97 * GiB, 96 * GiB}, host);
    expect_memory(host, (struct memory_size){GiB, 300 * MiB, 0, 0},
                  (struct memory_size){GiB, 300 * MiB, 0, 0});
    /* The host has less left than the group may take. */
    expect_memory(host, (struct memory_size){16 * GiB, 15 * GiB, UNLIMITED, UNLIMITED},
                  (struct memory_size){16 * GiB, 8 * GiB, 4 * GiB, 3 * GiB});
    /* The group's usage cannot be read: at most all of its memory is free. */
    expect_memory(host, (struct memory_size){GiB, UNLIMITED, GiB, UNLIMITED},
                  (struct memory_size){GiB, GiB, GiB, GiB});
}
