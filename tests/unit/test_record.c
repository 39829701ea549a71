/* The parts of flight records: the files' names, the lines, what is mapped. */
#include "record_internal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char dir[64];
static struct record_scratch scratch;

static void dir_make(void)
{
    snprintf(dir, sizeof(dir), "/tmp/plim-record-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void dir_remove(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    (void)!system(command);
}

TestSuite(record, .init = dir_make, .fini = dir_remove);

static bool exists(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static void touch(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    close(open(path, O_WRONLY | O_CREAT, 0600));
}

/* --- names --- */

static void assert_stamp(time_t seconds)
{
    char path[RECORD_PATH_MAX], expected[128], stamp[32];
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
    snprintf(expected, sizeof(expected), "%s/plimsoll-%s-%d.record", dir, stamp, getpid());
    int fd = record_make(dir, (uint64_t)seconds * NS_PER_S + 999999999, path);
    cr_assert_geq(fd, 0);
    cr_expect_str_eq(path, expected);
    close(fd);
    unlink(path);
}

Test(record, name_tells_the_time_as_libc_does)
{
    static const time_t days[] = {0,          951782400,  951868799,  951868800,  978220800,
                                  1709164800, 1709251200, 1735603200, 1735689599, 1795500000,
                                  4107542399, 4107542400, 4133980799};
    for (size_t i = 0; i < ARRAY_LEN(days); i++)
        assert_stamp(days[i]);
    for (time_t day = 0; day < 40000; day += 13)
        assert_stamp(day * 86400 + day % 86400);
}

Test(record, second_one_of_a_second_gets_a_number)
{
    char first[RECORD_PATH_MAX], second[RECORD_PATH_MAX];
    struct stat st;
    int fd = record_make(dir, NS_PER_S, first);
    int other = record_make(dir, NS_PER_S, second);
    cr_assert(fd >= 0 && other >= 0);
    cr_expect_str_neq(first, second);
    cr_expect_not_null(strstr(second, "-2.record"));
    cr_expect_eq(fstat(other, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600u);
}

Test(record, directory_that_is_not_there_is_an_error)
{
    char path[RECORD_PATH_MAX];
    cr_expect_eq(record_make("/nonexistent/records", NS_PER_S, path), -ENOENT);
}

Test(record, oldest_goes_when_there_are_many_and_nothing_else)
{
    char path[RECORD_PATH_MAX], name[64];
    static const char *const others[] = {
        "plimsoll-19990101-000000-1.txt",    "plimsoll-19990101-000000-1",
        "plimsoll-19990101-000000-a.record", "plimsoll-.record",
        "x-19990101-000000-1.record",        "plimsoll-1999.record",
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        touch(others[i]);
    for (int i = 0; i < RECORD_FILES_MAX; i++) {
        snprintf(name, sizeof(name), "plimsoll-20200101-0000%02d-7.record", (i + 17) % 64);
        touch(name);
    }
    touch("plimsoll-20200101-000000-7.heap");
    touch("plimsoll-20200101-000001-7.heap");
    cr_assert_geq(record_make(dir, 1795500000 * NS_PER_S, path), 0);
    cr_expect(exists("plimsoll-20200101-000000-7.record"), "until the new one is written");
    record_make_room(dir, path, &scratch);
    cr_expect_not(exists("plimsoll-20200101-000000-7.record"));
    cr_expect_not(exists("plimsoll-20200101-000000-7.heap"));
    cr_expect(exists("plimsoll-20200101-000001-7.record"));
    cr_expect(exists("plimsoll-20200101-000001-7.heap"));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        cr_expect(exists(others[i]), "%s", others[i]);
}

Test(record, new_one_stays_however_wrong_the_clock_is)
{
    char path[RECORD_PATH_MAX], name[64];
    for (int i = 0; i < RECORD_FILES_MAX; i++) {
        snprintf(name, sizeof(name), "plimsoll-20200101-0000%02d-7.record", i);
        touch(name);
    }
    cr_assert_geq(record_make(dir, NS_PER_S, path), 0);
    record_make_room(dir, path, &scratch);
    cr_expect_eq(access(path, F_OK), 0);
    cr_expect_not(exists("plimsoll-20200101-000000-7.record"));
    cr_expect(exists("plimsoll-20200101-000001-7.record"));
}

/* --- lines --- */

static struct record_out out;
static char out_path[RECORD_PATH_MAX];

static void out_open(void)
{
    int fd = record_make(dir, NS_PER_S, out_path);
    cr_assert_geq(fd, 0);
    out.f = (struct fmt)FMT_INIT(out.buf);
    cr_assert_eq(sys_file_adopt(&out.file, fd), 0);
}

static const char *written(void)
{
    static char text[200000];
    record_flush(&out);
    int fd = open(out_path, O_RDONLY);
    long n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

Test(record, line_stays_one_line_whatever_is_in_it)
{
    out_open();
    record_line(&out, "comm");
    record_text(&out, "a\nb\x7f\x01 c");
    record_line_end(&out);
    record_line(&out, "n");
    record_number(&out, 12);
    record_number(&out, UNLIMITED);
    record_line_end(&out);
    cr_expect_str_eq(written(), "comm a?b?? c\nn 12 -\n");
    cr_expect_eq(out.error, 0);
}

Test(record, quoted_text_comes_in_pieces)
{
    bool at_start = true;
    static char large[30000];
    out_open();
    record_quote(&out, "one", &at_start);
    record_quote(&out, " and\ntwo\n", &at_start);
    record_quote(&out, "\n", &at_start);
    cr_expect(at_start);
    cr_expect_str_eq(written(), "| one and\n| two\n| \n");
    memset(large, 'x', sizeof(large) - 1);
    for (int i = 0; i < 4; i++)
        record_quote(&out, large + 22000 + i, &at_start); /* 8 KB without an end of line */
    record_quote(&out, "\nend\n", &at_start);
    cr_expect_not_null(strstr(written(), "x\n| end\n"));
}

Test(record, many_lines_arrive_whole_and_in_order)
{
    out_open();
    for (uint64_t i = 0; i < 5000; i++) {
        record_line(&out, "sample");
        record_number(&out, i);
        record_line_end(&out);
    }
    const char *at = written();
    for (int i = 0; i < 5000; i++) {
        int n = -1, len = 0;
        cr_assert_eq(sscanf(at, "sample %d\n%n", &n, &len), 1);
        cr_assert_eq(n, i);
        at += len;
    }
    cr_expect_eq(*at, '\0');
}

Test(record, descriptor_that_the_program_closed_is_not_written_to)
{
    out_open();
    int fd = out.file.fd_plus_1 - 1;
    int other = open("/dev/null", O_WRONLY);
    int mine = memfd_create("mine", 0);
    dup2(mine, fd); /* the descriptor is another file's now */
    close(other);
    record_line(&out, "lost");
    record_line_end(&out);
    record_flush(&out);
    cr_expect_eq(out.error, -EBADF);
    cr_expect_eq(lseek(mine, 0, SEEK_END), 0, "nothing in the other file");
}

Test(record, file_that_may_not_grow_is_an_error_and_no_signal)
{
    const struct rlimit little = {.rlim_cur = 16, .rlim_max = 16};
    out_open();
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    record_line(&out, "longer than the limit allows a file to be");
    record_line_end(&out);
    record_flush(&out);
    cr_expect_eq(out.error, -EFBIG);
}

/* --- what is mapped --- */

enum { MAPPED = 24 << 20 };

Test(record, anonymous_and_shared_memory_are_told_apart)
{
    struct record_map_sum before[RECORD_MAP_COUNT], after[RECORD_MAP_COUNT];
    struct record_resident was, is;
    cr_assert(record_smaps(&scratch, UINT64_MAX, before));
    cr_assert(record_resident(&scratch, &was));
    int fd = memfd_create("x", 0);
    cr_assert_eq(ftruncate(fd, MAPPED / 2), 0);
    char *anonymous =
        mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *shared = mmap(NULL, MAPPED / 2, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert(anonymous != MAP_FAILED && shared != MAP_FAILED);
    memset(anonymous, 1, MAPPED);
    memset(shared, 1, MAPPED / 2);
    cr_assert(record_smaps(&scratch, UINT64_MAX, after));
    cr_assert(record_resident(&scratch, &is));
    cr_expect_geq(after[RECORD_MAP_ANONYMOUS].rss - before[RECORD_MAP_ANONYMOUS].rss, MAPPED);
    cr_expect_eq(after[RECORD_MAP_SHARED].rss - before[RECORD_MAP_SHARED].rss, MAPPED / 2);
    cr_expect_geq(after[RECORD_MAP_FILE].mappings, 3);
    cr_expect_eq(after[RECORD_MAP_STACK].mappings, 1);
    cr_expect_geq(is.anonymous - was.anonymous, MAPPED - 2 * MiB); /* counted in batches */
    cr_expect_geq(is.shared - was.shared, MAPPED / 2 - 2 * MiB);
    cr_expect_eq(is.threads, was.threads);
    cr_expect_gt(is.page_tables, 0);
}

static void *wait_for_ever(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return NULL;
}

Test(record, threads_are_counted)
{
    struct record_resident was, is;
    pthread_t thread;
    cr_assert(record_resident(&scratch, &was));
    cr_assert_eq(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
    cr_assert(record_resident(&scratch, &is));
    cr_expect_eq(is.threads, was.threads + 1);
    cr_expect_geq(was.threads, 1);
}

Test(record, no_time_means_not_all)
{
    struct record_map_sum sums[RECORD_MAP_COUNT];
    cr_expect_not(record_smaps(&scratch, 0, sums));
    cr_expect_eq(sums[RECORD_MAP_FILE].mappings, 0);
}
