/* Lines on stderr: one write each, cut but never without their end. */
#include "log.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

/* What one log_line wrote, in a static buffer. */
static const char *logged(enum log_level level, const char *text)
{
    static char got[4096];
    int ends[2], saved = dup(2);
    cr_assert(saved >= 0 && pipe(ends) == 0);
    dup2(ends[1], 2);
    close(ends[1]);
    log_line(level, text);
    dup2(saved, 2);
    close(saved);
    ssize_t n = read(ends[0], got, sizeof(got) - 1);
    close(ends[0]);
    got[n > 0 ? n : 0] = '\0';
    return got;
}

Test(log, line_has_the_prefix_and_ends)
{
    cr_expect_str_eq(logged(LOG_WARN, "something"), "plimsoll: something\n");
    cr_expect_str_eq(logged(LOG_ERROR, ""), "plimsoll: \n");
}

Test(log, warnings_are_wanted_by_default_and_talk_is_not)
{
    cr_expect(log_wanted(LOG_ERROR));
    cr_expect(log_wanted(LOG_WARN));
    cr_expect_not(log_wanted(LOG_INFO));
    cr_expect_not(log_wanted(LOG_DEBUG));
}

Test(log, level_decides_what_is_written)
{
    for (int set = LOG_OFF; set <= LOG_DEBUG; set++) {
        log_set_level((enum log_level)set);
        for (int level = LOG_ERROR; level <= LOG_DEBUG; level++)
            cr_expect_eq(logged((enum log_level)level, "x")[0] != '\0', level <= set,
                         "set to %d, line of %d", set, level);
    }
}

Test(log, long_line_is_cut_and_still_ends)
{
    char text[2000];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (size_t len = 480; len < 530; len++) {
        text[len] = '\0';
        const char *got = logged(LOG_WARN, text);
        size_t n = strlen(got);
        cr_assert_leq(n, 511u);
        cr_assert_eq(got[n - 1], '\n', "length %zu", len);
        cr_assert_eq(strchr(got, '\n'), got + n - 1);
        text[len] = 'a';
    }
}
