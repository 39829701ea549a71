/* Lines on stderr: one write each, cut but never without their end. */
#include "log.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

/* Somebody else may have chosen the name of a directory or of a reclaimer. */
Test(log, what_would_break_the_line_or_command_a_terminal_is_not_written)
{
    cr_expect_str_eq(logged(LOG_WARN, "a\nplimsoll: b\033[31m\177\t\303\244"),
                     "plimsoll: a?plimsoll: b?[31m??\303\244\n");
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

/* Makes fd descriptor 2, logs a line, and closes fd. from_start: the program starts with it. */
static void log_to(int fd, bool from_start)
{
    int saved = dup(2);
    cr_assert(fd >= 0 && saved >= 0 && dup2(fd, 2) == 2);
    close(fd);
    if (from_start)
        log_begin();
    errno = 77;
    log_line(LOG_ERROR, "x");
    cr_expect_eq(errno, 77);
    dup2(saved, 2);
    close(saved);
}

/* The contents of a file, opened with `flags` as stderr, once a line was logged. */
static const char *file_logged(int flags, bool from_start)
{
    static char got[64];
    char path[] = "/tmp/plim-log-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, "data", 4) == 4);
    log_to(open(path, flags), from_start);
    ssize_t n = pread(fd, got, sizeof(got) - 1, 0);
    got[n > 0 ? n : 0] = '\0';
    close(fd);
    unlink(path);
    return got;
}

Test(log, line_never_goes_to_a_file_of_data_that_was_given_the_number)
{
    log_begin();
    cr_expect_str_eq(file_logged(O_RDWR, false), "data");
    close(2); /* stderr is closed from the start */
    log_begin();
    cr_expect_str_eq(file_logged(O_RDWR, false), "data");
}

Test(log, line_goes_to_a_file_that_stderr_was_directed_to)
{
    log_begin();
    cr_expect_str_eq(file_logged(O_WRONLY | O_TRUNC, false), "plimsoll: x\n");
    cr_expect_str_eq(file_logged(O_WRONLY | O_APPEND, false), "dataplimsoll: x\n");
    cr_expect_str_eq(file_logged(O_RDWR | O_APPEND, false), "dataplimsoll: x\n");
}

Test(log, line_goes_to_what_stderr_was_at_the_start)
{
    cr_expect_str_eq(file_logged(O_RDWR | O_TRUNC, true), "plimsoll: x\n");
}

/* Does a line come out at the other end, before what is written after it? */
static bool comes_out(int in, int out, bool from_start)
{
    char got[64] = "";
    size_t len = 0;
    ssize_t n = 1;
    log_to(dup(in), from_start);
    cr_assert(write(in, "end\n", 4) == 4);
    while (n > 0 && strstr(got, "end") == NULL) {
        n = read(out, got + len, sizeof(got) - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    cr_assert_gt(n, 0);
    close(in);
    close(out);
    return strncmp(got, "plimsoll: x", 11) == 0;
}

static void connect_tcp(int *ends)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 1) == 0);
    cr_assert(getsockname(listener, (struct sockaddr *)&at, &len) == 0);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(connect(ends[0], (struct sockaddr *)&at, len) == 0);
    ends[1] = accept(listener, NULL, NULL);
    cr_assert(ends[1] >= 0);
    close(listener);
}

Test(log, line_goes_to_a_socket_only_if_stderr_was_one_at_the_start)
{
    int ends[2];
    for (int from_start = 0; from_start < 2; from_start++) {
        cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        cr_expect_eq(comes_out(ends[0], ends[1], from_start), from_start);
        connect_tcp(ends);
        cr_expect_eq(comes_out(ends[0], ends[1], from_start), from_start);
    }
}

Test(log, line_goes_to_a_terminal_and_a_pipe_however_opened)
{
    char name[128], fifo[] = "/proc/self/fd/1234567890";
    int pipe_ends[2], master = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    cr_assert(ptsname_r(master, name, sizeof(name)) == 0);
    cr_expect(comes_out(open(name, O_RDWR | O_NOCTTY), master, false));
    cr_assert(pipe(pipe_ends) == 0);
    snprintf(fifo, sizeof(fifo), "/proc/self/fd/%d", pipe_ends[0]);
    cr_expect(comes_out(open(fifo, O_RDWR), pipe_ends[0], false));
}
