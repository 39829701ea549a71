/* The environment variables one by one: good and bad numbers, sizes and paths. */
#include "options_case.h"

#include <criterion/criterion.h>
#include <string.h>

Test(options_values, limit_takes_percent_bytes_and_off)
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

Test(options_values, bad_limits_keep_the_default_and_are_complained_of)
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

Test(options_values, reclaim_cpu_takes_percent_in_its_range)
{
    cr_assert_eq(parse_one("PLIMSOLL_RECLAIM_CPU=0.1%").reclaim_cpu, 100);
    cr_assert_eq(parse_one("PLIMSOLL_RECLAIM_CPU=100%").reclaim_cpu, 100000);
    assert_bad(OPTION_RECLAIM_CPU, "0.05%");
    assert_bad(OPTION_RECLAIM_CPU, "101%");
    assert_bad(OPTION_RECLAIM_CPU, "5");
    assert_bad(OPTION_RECLAIM_CPU, "");
}

Test(options_values, cpus_takes_a_number_in_its_range)
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

Test(options_values, report_takes_either_half_or_both)
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

Test(options_values, heap_profile_takes_bytes_and_rounds_up_to_a_power_of_two)
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

/* --- paths --- */

Test(options_values, record_takes_an_absolute_path)
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

Test(options_values, stats_takes_two_words_and_absolute_paths)
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

Test(options_values, directories_of_sessions_are_copied_where_they_are_absolute)
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

Test(options_values, what_a_service_manager_set_is_copied)
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
