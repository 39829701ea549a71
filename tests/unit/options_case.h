/* For tests of options: parses one variable, and checks what was complained of. */
#ifndef PLIM_TEST_OPTIONS_CASE_H
#define PLIM_TEST_OPTIONS_CASE_H

#include "options.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { LINES_MAX = 40 };

struct complaints {
    unsigned count;
    char lines[LINES_MAX][600];
};

static inline void take(void *arg, const char *line)
{
    struct complaints *complaints = arg;
    cr_assert_lt(complaints->count, LINES_MAX);
    snprintf(complaints->lines[complaints->count++], sizeof(complaints->lines[0]), "%s", line);
}

static struct complaints said;

/* Parses an environment of one variable; messages are in `said`. */
static inline struct options parse_one(const char *entry)
{
    const char *const env[] = {"HOME=/", entry, NULL};
    struct options options;
    memset(&options, 0x5a, sizeof(options));
    said.count = 0;
    options_parse(env, &options, take, &said);
    return options;
}

static inline void assert_said(const char *part)
{
    cr_assert_eq(said.count, 1, "%u complaints", said.count);
    cr_assert_not_null(strstr(said.lines[0], part), "\"%s\" is not in: %s", part, said.lines[0]);
    cr_assert_null(strchr(said.lines[0], '\n'));
}

static inline void assert_bad(enum option_id id, const char *value)
{
    char entry[700];
    struct options defaults = parse_one("X=");
    snprintf(entry, sizeof(entry), "%s=%s", option_table[id].name, value);
    struct options options = parse_one(entry);
    cr_assert_eq(said.count, 1, "%s: %u complaints", entry, said.count);
    assert_said(option_table[id].name);
    assert_said(option_table[id].accepts);
    assert_said(option_table[id].fallback);
    cr_assert_eq(options.enabled, defaults.enabled);
    cr_assert_eq(options.wish.kind, defaults.wish.kind);
    cr_assert_eq(options.wish.value, defaults.wish.value);
    cr_assert_eq(options.on_limit, defaults.on_limit);
    cr_assert_eq(options.reclaim_cpu, defaults.reclaim_cpu);
    cr_assert_eq(options.wish.profile, defaults.wish.profile);
    cr_assert_eq(options.stats, defaults.stats);
    cr_assert_eq(options.thread, defaults.thread);
    cr_assert_eq(options.cpus, defaults.cpus);
    cr_assert_eq(options.report_cpus, defaults.report_cpus);
    cr_assert_eq(options.report_memory, defaults.report_memory);
    cr_assert_eq(options.thp, defaults.thp);
    cr_assert_eq(options.heap_profile, defaults.heap_profile);
    cr_assert_str_eq(options.record_dir, defaults.record_dir);
    cr_assert_eq(options.notify, defaults.notify);
    cr_assert_eq(options.log, defaults.log);
}

#endif
