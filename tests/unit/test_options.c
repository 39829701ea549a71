/* The environment variables: every one, good and bad values, unknown names. */
#include "options.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LINES_MAX = 40 };

struct complaints {
    unsigned count;
    char lines[LINES_MAX][600];
};

static void take(void *arg, const char *line)
{
    struct complaints *complaints = arg;
    cr_assert_lt(complaints->count, LINES_MAX);
    snprintf(complaints->lines[complaints->count++], sizeof(complaints->lines[0]), "%s", line);
}

static struct complaints said;

/* Parses an environment of one variable; messages are in `said`. */
static struct options parse_one(const char *entry)
{
    const char *const env[] = {"HOME=/", entry, NULL};
    struct options options;
    memset(&options, 0x5a, sizeof(options));
    said.count = 0;
    options_parse(env, &options, take, &said);
    return options;
}

static void assert_said(const char *part)
{
    cr_assert_eq(said.count, 1, "%u complaints", said.count);
    cr_assert_not_null(strstr(said.lines[0], part), "\"%s\" is not in: %s", part, said.lines[0]);
    cr_assert_null(strchr(said.lines[0], '\n'));
}

static void assert_bad(enum option_id id, const char *value)
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

Test(options, defaults_are_those_of_the_table)
{
    struct options options;
    options_parse(NULL, &options, take, &said);
    cr_assert_eq(said.count, 0);
    cr_assert(options.enabled);
    cr_assert_eq(options.wish.kind, LIMIT_PERCENT);
    cr_assert_eq(options.wish.value, LIMIT_PERCENT_DEFAULT);
    cr_assert_eq(options.on_limit, ON_LIMIT_THROTTLE);
    cr_assert_eq(options.reclaim_cpu, 5000);
    cr_assert_eq(options.wish.profile, PROFILE_BALANCED);
    cr_assert_eq(options.thread, THREAD_AUTO);
    cr_assert_eq(options.cpus, 0);
    cr_assert(!options.report_cpus && !options.report_memory);
    cr_assert_eq(options.thp, THP_AUTO);
    cr_assert_eq(options.heap_profile, 0);
    cr_assert_str_eq(options.record_dir, "");
    cr_assert_eq(options.notify, NOTIFY_OFF);
    cr_assert_eq(options.log, LOG_WARN);
}

Test(options, every_default_is_accepted)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        struct options options = {0};
        cr_assert_eq(options_set((enum option_id)i, option_table[i].fallback, &options), 0, "%s",
                     option_table[i].name);
    }
}

Test(options, every_word_of_the_table_is_accepted_and_no_part_of_one)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const char *at = option_table[i].accepts;
        for (;;) {
            char word[80];
            struct options options = {0};
            size_t len = strcspn(at, ",");
            snprintf(word, sizeof(word), "%.*s", (int)len, at);
            if (strchr(word, ' ') == NULL) {
                cr_assert_eq(options_set((enum option_id)i, word, &options), 0, "%s=%s",
                             option_table[i].name, word);
                word[len - 1] = '\0';
                cr_assert_eq(options_set((enum option_id)i, word, &options), -EINVAL, "%s=%s",
                             option_table[i].name, word);
            }
            if (at[len] == '\0')
                break;
            at += len + 2;
        }
    }
}

Test(options, words_mean_what_the_enums_say)
{
    cr_assert_not(parse_one("PLIMSOLL=off").enabled);
    cr_assert(parse_one("PLIMSOLL=on").enabled);
    cr_assert_eq(parse_one("PLIMSOLL_ON_LIMIT=none").on_limit, ON_LIMIT_NONE);
    cr_assert_eq(parse_one("PLIMSOLL_ON_LIMIT=throttle").on_limit, ON_LIMIT_THROTTLE);
    cr_assert_eq(parse_one("PLIMSOLL_ON_LIMIT=fail").on_limit, ON_LIMIT_FAIL);
    cr_assert_eq(parse_one("PLIMSOLL_ON_LIMIT=abort").on_limit, ON_LIMIT_ABORT);
    cr_assert_eq(parse_one("PLIMSOLL_PROFILE=relaxed").wish.profile, PROFILE_RELAXED);
    cr_assert_eq(parse_one("PLIMSOLL_PROFILE=tight").wish.profile, PROFILE_TIGHT);
    cr_assert_eq(parse_one("PLIMSOLL_THREAD=on").thread, THREAD_ON);
    cr_assert_eq(parse_one("PLIMSOLL_THREAD=off").thread, THREAD_OFF);
    cr_assert_eq(parse_one("PLIMSOLL_THP=default").thp, THP_DEFAULT);
    cr_assert_eq(parse_one("PLIMSOLL_THP=never").thp, THP_NEVER);
    cr_assert_eq(parse_one("PLIMSOLL_NOTIFY=off").notify, NOTIFY_OFF);
    cr_assert_eq(parse_one("PLIMSOLL_NOTIFY=systemd").notify, NOTIFY_SYSTEMD);
    cr_assert_eq(parse_one("PLIMSOLL_LOG=off").log, LOG_OFF);
    cr_assert_eq(parse_one("PLIMSOLL_LOG=error").log, LOG_ERROR);
    cr_assert_eq(parse_one("PLIMSOLL_LOG=info").log, LOG_INFO);
    cr_assert_eq(parse_one("PLIMSOLL_LOG=debug").log, LOG_DEBUG);
    cr_assert_eq(said.count, 0);
}

Test(options, heap_profile_takes_bytes_and_rounds_up_to_a_power_of_two)
{
    cr_assert_eq(parse_one("PLIMSOLL_HEAP_PROFILE=4Ki").heap_profile, 12);
    cr_assert_eq(parse_one("PLIMSOLL_HEAP_PROFILE=4097").heap_profile, 13);
    cr_assert_eq(parse_one("PLIMSOLL_HEAP_PROFILE=512Ki").heap_profile, 19);
    cr_assert_eq(parse_one("PLIMSOLL_HEAP_PROFILE=1Gi").heap_profile, 30);
    cr_assert_eq(said.count, 0);
    assert_bad(OPTION_HEAP_PROFILE, "4095");
    assert_bad(OPTION_HEAP_PROFILE, "1025Mi");
    assert_bad(OPTION_HEAP_PROFILE, "on");
    assert_bad(OPTION_HEAP_PROFILE, "");
}

Test(options, record_takes_an_absolute_path)
{
    char entry[600] = "PLIMSOLL_RECORD=/";
    cr_assert_str_eq(parse_one("PLIMSOLL_RECORD=/var/lib/a b").record_dir, "/var/lib/a b");
    cr_assert_str_eq(parse_one("PLIMSOLL_RECORD=/tmp//").record_dir, "/tmp");
    cr_assert_str_eq(parse_one("PLIMSOLL_RECORD=/").record_dir, "/");
    cr_assert_str_eq(parse_one("PLIMSOLL_RECORD=off").record_dir, "");
    cr_assert_eq(said.count, 0);
    assert_bad(OPTION_RECORD, "records");
    assert_bad(OPTION_RECORD, "");
    memset(entry + strlen(entry), 'x', OPTION_PATH_MAX);
    assert_bad(OPTION_RECORD, entry + strlen("PLIMSOLL_RECORD="));
}

Test(options, limit_takes_percent_bytes_and_off)
{
    static const struct {
        const char *entry;
        enum limit_kind kind;
        uint64_t limit;
    } good[] = {
        {"PLIMSOLL_LIMIT=1%", LIMIT_PERCENT, 1000},
        {"PLIMSOLL_LIMIT=87.5%", LIMIT_PERCENT, 87500},
        {"PLIMSOLL_LIMIT=100%", LIMIT_PERCENT, 100000},
        {"PLIMSOLL_LIMIT=104857600", LIMIT_BYTES, 100 * MiB},
        {"PLIMSOLL_LIMIT=256M", LIMIT_BYTES, 256000000},
        {"PLIMSOLL_LIMIT=256Mi", LIMIT_BYTES, 256 * MiB},
        {"PLIMSOLL_LIMIT=256MiB", LIMIT_BYTES, 256 * MiB},
        {"PLIMSOLL_LIMIT=1.5Gi", LIMIT_BYTES, 1536 * MiB},
        {"PLIMSOLL_LIMIT=2G", LIMIT_BYTES, 2000000000},
        {"PLIMSOLL_LIMIT=2048Ki", LIMIT_BYTES, 2 * MiB},
        {"PLIMSOLL_LIMIT=off", LIMIT_OFF, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct options options = parse_one(good[i].entry);
        cr_assert_eq(said.count, 0, "%s: %s", good[i].entry, said.lines[0]);
        cr_assert_eq(options.wish.kind, good[i].kind, "%s", good[i].entry);
        cr_assert_eq(options.wish.value, good[i].limit, "%s", good[i].entry);
    }
}

Test(options, bad_limits_keep_the_default_and_are_complained_of)
{
    static const char *const bad[] = {
        "",
        "0",
        "0%",
        "0.9%",
        "100.1%",
        "200%",
        "90",
        "-5%",
        "90 %",
        " 90%",
        "90%%",
        "OFF",
        "lots",
        "1Xi",
        "1M ",
        "1e9",
        "0x1000",
        "%",
        "512K",
        "+1Gi",
        "1.5.5G",
        "1,5Gi",
        "99999999999999999999",
        "99999999T999",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_bad(OPTION_LIMIT, bad[i]);
}

Test(options, reclaim_cpu_takes_percent_in_its_range)
{
    cr_assert_eq(parse_one("PLIMSOLL_RECLAIM_CPU=0.1%").reclaim_cpu, 100);
    cr_assert_eq(parse_one("PLIMSOLL_RECLAIM_CPU=100%").reclaim_cpu, 100000);
    assert_bad(OPTION_RECLAIM_CPU, "0.05%");
    assert_bad(OPTION_RECLAIM_CPU, "101%");
    assert_bad(OPTION_RECLAIM_CPU, "5");
    assert_bad(OPTION_RECLAIM_CPU, "");
}

Test(options, cpus_takes_a_number_in_its_range)
{
    cr_assert_eq(parse_one("PLIMSOLL_CPUS=1").cpus, 1);
    cr_assert_eq(parse_one("PLIMSOLL_CPUS=4096").cpus, 4096);
    cr_assert_eq(parse_one("PLIMSOLL_CPUS=auto").cpus, 0);
    assert_bad(OPTION_CPUS, "0");
    assert_bad(OPTION_CPUS, "4097");
    assert_bad(OPTION_CPUS, "1.5");
    assert_bad(OPTION_CPUS, "two");
    assert_bad(OPTION_CPUS, "99999999999999999999999");
}

Test(options, report_takes_either_half_or_both)
{
    const struct {
        const char *value;
        bool cpus, memory;
    } cases[] = {
        {"off", false, false},       {"cpus", true, false},       {"memory", false, true},
        {"cpus,memory", true, true}, {"memory,cpus", true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct options options = {.report_cpus = !cases[i].cpus};
        cr_assert_eq(options_set(OPTION_REPORT, cases[i].value, &options), 0, "%s", cases[i].value);
        cr_expect_eq(options.report_cpus, cases[i].cpus, "%s", cases[i].value);
        cr_expect_eq(options.report_memory, cases[i].memory, "%s", cases[i].value);
    }
    const char *const bad[] = {"",    "on",       "cpus,",       ",cpus",
                               "cpu", "off,cpus", "cpus memory", "cpus,memory,disk"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_bad(OPTION_REPORT, bad[i]);
}

Test(options, bad_words_keep_the_default_and_are_complained_of)
{
    static const enum option_id words[] = {OPTION_ENABLED, OPTION_ON_LIMIT, OPTION_PROFILE,
                                           OPTION_THREAD,  OPTION_THP,      OPTION_LOG};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        assert_bad(words[i], "");
        assert_bad(words[i], "nonsense");
        assert_bad(words[i], "ON");
        assert_bad(words[i], ",");
        assert_bad(words[i], option_table[words[i]].accepts);
    }
}

Test(options, complaint_names_variable_value_expectation_and_what_is_used)
{
    parse_one("PLIMSOLL_LOG=loud");
    cr_assert_str_eq(said.lines[0], "PLIMSOLL_LOG: bad value \"loud\", expected off, error, warn, "
                                    "info, debug; using warn");
}

Test(options, unknown_name_is_complained_of_with_the_nearest)
{
    parse_one("PLIMSOLL_LIMT=90%");
    assert_said("PLIMSOLL_LIMT");
    assert_said("\"90%\"");
    assert_said("expected PLIMSOLL_LIMIT perhaps");
    parse_one("PLIMSOLL_ONLIMIT=fail");
    assert_said("expected PLIMSOLL_ON_LIMIT perhaps");
    parse_one("PLIMSOLL_log=off");
    assert_said("expected PLIMSOLL_LOG perhaps");
    parse_one("PLIMSOLL_XYZ=1");
    assert_said("plimsoll options");
    parse_one("PLIMSOLL_SOMETHING_ELSE=1");
    assert_said("plimsoll options");
    assert_said("ignored");
    parse_one("PLIMSOLL_=1");
    assert_said("ignored");
}

Test(options, names_of_others_are_none_of_ours)
{
    static const char *const others[] = {
        "PLIMSOLLS=off", "PLIMSOLL",    "PLIMSOLL_LIMIT", "XPLIMSOLL=off",
        "plimsoll=off",  "PLIMSOL=off", "=PLIMSOLL=off",  ""};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct options options = parse_one(others[i]);
        cr_assert_eq(said.count, 0, "%s: %s", others[i], said.lines[0]);
        cr_assert(options.enabled);
        cr_assert_eq(options.wish.value, 90000);
    }
}

Test(options, first_of_two_counts)
{
    const char *const env[] = {"PLIMSOLL_CPUS=3", "PLIMSOLL_CPUS=5", "PLIMSOLL_CPUS=bad", NULL};
    struct options options;
    said.count = 0;
    options_parse(env, &options, take, &said);
    cr_assert_eq(options.cpus, 3);
    cr_assert_eq(said.count, 0);
}

Test(options, long_and_binary_text_stays_one_short_line)
{
    char entry[9000] = "PLIMSOLL_LOG=a\nb\tc\033[31m";
    size_t len = strlen(entry);
    memset(entry + len, 'x', sizeof(entry) - 1 - len);
    entry[sizeof(entry) - 1] = '\0';
    parse_one(entry);
    assert_said("\"a?b?c?[31m");
    assert_said("...\", expected");
    cr_assert_lt(strlen(said.lines[0]), 300);

    memset(entry, 'P', sizeof(entry) - 1);
    memcpy(entry, "PLIMSOLL_", 9);
    entry[sizeof(entry) - 3] = '=';
    parse_one(entry);
    assert_said("unknown variable");
    cr_assert_lt(strlen(said.lines[0]), 300);

    parse_one("PLIMSOLL_A\nB\033[31m=1");
    assert_said("PLIMSOLL_A?B?[31m: unknown variable");
}

Test(options, nobody_to_complain_to_is_fine)
{
    const char *const env[] = {"PLIMSOLL_LOG=loud", "PLIMSOLL_WHAT=1", "PLIMSOLL_CPUS=2", NULL};
    struct options options;
    options_parse(env, &options, NULL, NULL);
    cr_assert_eq(options.log, LOG_WARN);
    cr_assert_eq(options.cpus, 2);
}

Test(options, set_leaves_the_result_alone_on_failure)
{
    struct options options = parse_one("X="), before = options;
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        cr_assert_eq(options_set((enum option_id)i, "nonsense", &options), -EINVAL);
    cr_assert_eq(memcmp(&options, &before, sizeof(options)), 0);
}

Test(options, stats_takes_two_words_and_absolute_paths)
{
    char text[OPTION_PATH_MAX + 40] = "PLIMSOLL_STATS=/";
    cr_expect_eq(parse_one("X=").stats, STATS_AUTO);
    cr_expect_eq(parse_one("PLIMSOLL_STATS=auto").stats, STATS_AUTO);
    cr_expect_eq(parse_one("PLIMSOLL_STATS=off").stats, STATS_OFF);
    struct options o = parse_one("PLIMSOLL_STATS=/run/x//");
    cr_expect_eq(o.stats, STATS_DIR);
    cr_expect_str_eq(o.stats_dir, "/run/x");
    cr_expect_str_eq(parse_one("PLIMSOLL_STATS=/").stats_dir, "/");
    assert_bad(OPTION_STATS, "");
    assert_bad(OPTION_STATS, "on");
    assert_bad(OPTION_STATS, "run/x");
    memset(text + strlen(text), 'x', OPTION_PATH_MAX - 2);
    cr_expect_eq(parse_one(text).stats, STATS_DIR);
    strcat(text, "x");
    cr_expect_eq(parse_one(text).stats, STATS_AUTO);
    cr_expect_eq(said.count, 1);
}

Test(options, directories_of_sessions_are_copied_where_they_are_absolute)
{
    static char runtime[] = "XDG_RUNTIME_DIR=/run/user/7", temp[] = "TMPDIR=/var/tmp";
    const char *const env[] = {"XDG_RUNTIME_DIRS=/no", runtime, temp, "TMPDIR=/second", NULL};
    struct options o;
    options_parse(env, &o, take, &said);
    memset(runtime, '#', sizeof(runtime) - 1); /* as programs do to show a title */
    cr_expect_str_eq(o.runtime_dir, "/run/user/7");
    cr_expect_str_eq(o.temp_dir, "/var/tmp");
    o = parse_one("TMPDIR=relative");
    cr_expect_str_eq(o.temp_dir, "");
    cr_expect_eq(said.count, 0);
}

Test(options, what_a_service_manager_set_is_copied)
{
    static char path[] = "MEMORY_PRESSURE_WATCH=/sys/fs/cgroup/a/memory.pressure";
    const char *const env[] = {"MEMORY_PRESSURE_WATCHES=/no",
                               path,
                               "MEMORY_PRESSURE_WATCH=/second",
                               "MEMORY_PRESSURE_WRITE=YQ==",
                               "MEMORY_PRESSURE_WATCH_OUTER=/outer",
                               "MEMORY_PRESSURE_WRITE_OUTER=Yg==",
                               NULL};
    char text[PRESSURE_PATH_MAX + 40] = "MEMORY_PRESSURE_WATCH=/";
    struct options o;
    options_parse(env, &o, take, &said);
    memset(path, '#', sizeof(path) - 1);
    cr_expect_str_eq(o.pressure.path, "/sys/fs/cgroup/a/memory.pressure");
    cr_expect_str_eq(o.pressure.write, "YQ==");
    cr_expect_str_eq(o.pressure_outer.path, "/outer");
    cr_expect_str_eq(o.pressure_outer.write, "Yg==");
    memset(text + strlen(text), 'x', PRESSURE_PATH_MAX - 2);
    cr_expect_eq(strlen(parse_one(text).pressure.path), PRESSURE_PATH_MAX - 1);
    strcat(text, "x");
    cr_expect_str_eq(parse_one(text).pressure.path, "", "too long");
    cr_expect_eq(said.count, 0);
}
