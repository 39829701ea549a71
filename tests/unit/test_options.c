/* The environment variables as a whole: defaults, words, unknown names, what is complained of. */
#include "options_case.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

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
