/* Listening to the file that a service manager named: each kind of file, what is written to it,
 * when listening ends. */
#include "outer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[] = "/tmp/plim_outer_XXXXXX";
static char path[64];

static void begin(void)
{
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/watched", dir);
}

static void end(void)
{
    unlink(path);
    rmdir(dir);
}

TestSuite(outer, .init = begin, .fini = end);

static struct pressure_watch watch_for(const char *text)
{
    struct pressure_watch watch = {0};
    snprintf(watch.path, sizeof(watch.path), "%s", path);
    snprintf(watch.write, sizeof(watch.write), "%s", text);
    return watch;
}

/* What is written to a regular file. */
static int told(const char *text, char *ret, size_t size)
{
    struct outer o = {0};
    struct pressure_watch watch = watch_for(text);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    int rc = outer_open(&o, &watch);
    ssize_t len = read(fd, ret, size);
    close(fd);
    cr_expect_eq(o.file.fd_plus_1 != 0, rc == 0);
    cr_expect_eq(o.events, rc == 0 ? POLLPRI : 0);
    sys_file_close(&o.file);
    return rc < 0 ? rc : (int)len;
}

Test(outer, it_is_told_what_the_text_says_in_base64)
{
    static const struct {
        const char *text, *bytes;
        int len;
    } cases[] = {
        {"", "", 0},
        {"YQ==", "a", 1},
        {"YWI=", "ab", 2},
        {"YWJj", "abc", 3},
        {"YWJjZA==", "abcd", 4},
        {"AP/+", "\0\xff\xfe", 3},
        {"c29tZSAyMDAwMDAgMjAwMDAwMAA=", "some 200000 2000000", 20},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char bytes[64] = "";
        cr_expect_eq(told(cases[i].text, bytes, sizeof(bytes)), cases[i].len, "%s", cases[i].text);
        cr_expect_eq(memcmp(bytes, cases[i].bytes, (size_t)cases[i].len), 0, "%s", cases[i].text);
    }
}

Test(outer, bad_base64_is_refused)
{
    static const char *const cases[] = {"Y",    "YQ",    "YQ=",      "YQ===", "=",      "====",
                                        "Y===", "YWJj=", "YQ==YQ==", "Y Q=",  "YQ==\n", "YWJjZA"};
    char bytes[64];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_eq(told(cases[i], bytes, sizeof(bytes)), -EINVAL, "%s", cases[i]);
}

Test(outer, a_fifo_is_heard_and_never_at_its_end)
{
    struct outer o = {0};
    struct pressure_watch watch = watch_for("");
    mkfifo(path, 0600);
    cr_assert_eq(outer_open(&o, &watch), 0);
    struct pollfd poll_it = {.fd = o.file.fd_plus_1 - 1, .events = o.events};
    int fd = open(path, O_WRONLY | O_NONBLOCK);
    cr_assert_eq(write(fd, "abc", 3), 3);
    cr_expect_eq(poll(&poll_it, 1, 0), 1);
    cr_expect_eq(outer_take(&o, poll_it.revents), 1);
    cr_expect_eq(outer_take(&o, POLLIN), 0);
    close(fd);
    cr_expect_eq(poll(&poll_it, 1, 0), 0, "revents %d", poll_it.revents);
    sys_file_close(&o.file);
}

Test(outer, a_socket_is_heard_until_its_peer_ends)
{
    struct outer o = {0};
    struct pressure_watch watch = watch_for("YWJj");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char bytes[8] = "";
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    cr_assert_eq(bind(server, (struct sockaddr *)&to, sizeof(to)), 0);
    cr_expect_eq(outer_open(&o, &watch), -ECONNREFUSED);
    cr_assert_eq(listen(server, 1), 0);
    cr_assert_eq(outer_open(&o, &watch), 0);
    int peer = accept(server, NULL, NULL);
    cr_expect_eq(read(peer, bytes, sizeof(bytes)), 3);
    cr_expect_str_eq(bytes, "abc");
    cr_assert_eq(write(peer, "x", 1), 1);
    close(peer);
    cr_expect_eq(outer_take(&o, POLLIN | POLLHUP), 1);
    cr_expect_eq(outer_take(&o, POLLIN | POLLHUP), -EPIPE);
    cr_expect_eq(outer_take(&o, POLLERR), -EBADF);
    sys_file_close(&o.file);
    close(server);
}

Test(outer, what_is_not_there_or_of_another_kind_is_refused)
{
    struct outer o = {0};
    struct pressure_watch watch = watch_for("");
    cr_expect_eq(outer_open(&o, &watch), -ENOENT);
    mkdir(path, 0700);
    cr_expect_eq(outer_open(&o, &watch), -EINVAL);
    rmdir(path);
    strcpy(watch.path, "/dev/zero");
    cr_expect_eq(outer_open(&o, &watch), -EINVAL);
    cr_expect_eq(o.file.fd_plus_1, 0);
}

Test(outer, a_pipe_comes_back_at_its_number_unless_that_is_anothers)
{
    struct sys_file pipe = {0};
    cr_assert_eq(sys_file_pipe(&pipe), 0);
    int number = pipe.fd_plus_1 - 1;
    uint64_t first = pipe.ino;
    cr_expect_not(sys_pipe_is_read(number));
    cr_assert_eq(sys_file_pipe_at(&pipe, number), 0, "in its place");
    cr_expect(pipe.ino != first && sys_file_is_ours(&pipe));
    close(number);
    cr_assert_eq(sys_file_pipe_at(&pipe, number), 0, "where nothing is");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    cr_expect(sys_pipe_is_read(number));
    sys_write_gently(number, "ab", 2);
    cr_expect_eq(sys_pipe_unread(number), 2);
    close(reader);
    cr_expect_not(sys_pipe_is_read(number));
    dup2(0, number);
    cr_expect_eq(sys_file_pipe_at(&pipe, number), -EBUSY);
    snprintf(path, sizeof(path), "%s/watched", dir);
}
