/* Files and directories: what their contract in sys.h promises beyond the bare system call. */
#include "sys_internal.h"
#include "sys_temp.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void rewrite(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

TestSuite(sys_file, .fini = temp_remove);

/* Programs count on low numbers being given out in order. */
Test(sys_file, what_is_opened_has_a_high_number)
{
    int low = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(low);
    int fd = sys_open("/dev/null", O_RDONLY);
    cr_assert_geq(fd, 16);
    cr_expect_eq(open("/dev/null", O_RDONLY | O_CLOEXEC), low);
    sys_close(fd);
}

/* As dup2() leaves it: what is at that number is not closed. */
Test(sys_file, number_that_the_program_has_put_a_file_at_meanwhile_is_left_to_it)
{
    int fd = open("/dev/null", O_RDONLY);
    cr_expect_eq(sys_raise_fd(fd), -EAGAIN);
    cr_expect_geq(fcntl(fd, F_GETFD), 0);
    int next = fcntl(fd, F_DUPFD, 512);
    cr_expect_eq(next, 512, "nothing was left there");
}

Test(sys_file, opened_files_are_closed_on_exec)
{
    int fd = sys_open("/dev/null", O_RDONLY);
    cr_assert_geq(fd, 0);
    cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    cr_expect_eq(sys_close(fd), 0);
}

Test(sys_file, read_file_is_cut_at_the_buffer_and_ended)
{
    char buf[8];
    temp_file("0123456789");
    cr_expect_eq(sys_read_file(temp, buf, sizeof(buf)), 7);
    cr_expect_str_eq(buf, "0123456");
    cr_expect_eq(sys_read_file(temp, buf, 1), 0);
    cr_expect_str_eq(buf, "");
    cr_expect_eq(sys_read_file(temp, buf, 0), -EINVAL);
    rewrite(temp, "");
    cr_expect_eq(sys_read_file(temp, buf, sizeof(buf)), 0);
    cr_expect_str_eq(buf, "");
}

Test(sys_file, a_file_is_created_only_where_there_is_none_and_with_its_blocks)
{
    struct sys_file file;
    struct rlimit small = {4096, 4096};
    snprintf(temp, sizeof(temp), "/tmp/plim-sys-create-%d", (int)getpid());
    errno = 77;
    int fd = sys_create(temp);
    cr_assert_geq(fd, 512, "a high number");
    cr_expect_eq(sys_create(temp), -EEXIST);
    cr_assert_eq(sys_file_adopt(&file, fd), 0);
    cr_assert_eq(sys_reserve(fd, 8192), 0);
    char *mapped = sys_map_file(&file, 8192);
    cr_assert_not_null(mapped);
    mapped[8191] = 'x';
    char byte;
    cr_expect_eq(sys_pread(fd, &byte, 1, 8191), 1);
    cr_expect_eq(byte, 'x');
    sys_unmap(mapped, 8192);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    cr_expect_eq(sys_reserve(fd, 16384), -EFBIG, "and no signal");
    sys_file_close(&file);
    cr_expect_null(sys_map_file(&file, 4096), "no longer ours");
    cr_expect_eq(sys_unlink(temp), 0);
    cr_assert_eq(symlink("/nonexistent", temp), 0);
    cr_expect_eq(sys_create(temp), -EEXIST, "a link is not followed");
    cr_expect_eq(errno, 77);
}

Test(sys_file, only_regular_files_have_an_owner_that_counts)
{
    uint32_t uid = 12345;
    temp_file("x");
    cr_expect_eq(sys_owner_at(AT_FDCWD, temp, &uid), 0);
    cr_expect_eq(uid, sys_euid());
    cr_expect_eq(sys_owner_at(AT_FDCWD, "/tmp", &uid), -EINVAL);
    cr_expect_eq(sys_owner_at(AT_FDCWD, "/proc/self/exe", &uid), -EINVAL, "a link");
    cr_expect_eq(sys_owner_at(AT_FDCWD, "/nonexistent", &uid), -ENOENT);
    cr_expect_leq(sys_written_at(AT_FDCWD, temp), sys_wall_ns());
    cr_expect_gt(sys_written_at(AT_FDCWD, temp), sys_wall_ns() - 3600 * NS_PER_S);
    cr_expect_eq(sys_written_at(AT_FDCWD, "/nonexistent"), 0);
    cr_expect(sys_process_exists(sys_pid()));
    cr_expect_not(sys_process_exists(0));
    cr_expect_not(sys_process_exists(UINT32_MAX));
}

/* --- held files --- */

Test(sys_file, held_file_shows_what_changed_through_one_descriptor)
{
    struct sys_file file = {0};
    char buf[32];
    temp_file("one");
    cr_expect_eq(sys_file_read(&file, temp, buf, sizeof(buf)), 3);
    int fd = file.fd_plus_1;
    cr_expect_geq(fd, 513, "programs count on low numbers");
    rewrite(temp, "three");
    cr_expect_eq(sys_file_read(&file, temp, buf, sizeof(buf)), 5);
    cr_expect_str_eq(buf, "three");
    cr_expect_eq(file.fd_plus_1, fd);
    sys_file_close(&file);
    cr_expect_eq(file.fd_plus_1, 0);
    cr_expect_eq(fcntl(fd - 1, F_GETFD), -1);
}

Test(sys_file, held_file_survives_its_number_being_closed)
{
    struct sys_file file = {0};
    char buf[32];
    temp_file("mine");
    cr_assert_eq(sys_file_read(&file, temp, buf, sizeof(buf)), 4);
    close(file.fd_plus_1 - 1);
    cr_expect_eq(sys_file_read(&file, temp, buf, sizeof(buf)), 4);
    cr_expect_str_eq(buf, "mine");
    sys_file_close(&file);
}

Test(sys_file, held_file_whose_number_was_reused_is_left_to_its_new_owner)
{
    struct sys_file file = {0};
    char buf[32], other[] = "/tmp/plim-other-XXXXXX";
    temp_file("mine");
    cr_assert_eq(sys_file_read(&file, temp, buf, sizeof(buf)), 4);
    int stolen = file.fd_plus_1 - 1;
    int theirs = mkstemp(other);
    cr_assert(write(theirs, "theirs", 6) == 6);
    cr_assert_eq(dup2(theirs, stolen), stolen);
    cr_expect_eq(sys_file_read(&file, temp, buf, sizeof(buf)), 4);
    cr_expect_str_eq(buf, "mine");
    cr_expect_neq(file.fd_plus_1 - 1, stolen);
    cr_expect_neq(fcntl(stolen, F_GETFD), -1, "not ours to close");
    /* The number is taken once more, now before closing. */
    int again = file.fd_plus_1 - 1;
    cr_assert_eq(dup2(theirs, again), again);
    sys_file_close(&file);
    cr_expect_neq(fcntl(again, F_GETFD), -1, "not ours to close");
    unlink(other);
}

Test(sys_file, held_file_works_where_high_numbers_are_not_to_be_had)
{
    struct sys_file file = {0};
    char buf[32];
    struct rlimit limit = {100, 100};
    temp_file("low");
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_expect_eq(sys_file_read(&file, temp, buf, sizeof(buf)), 3);
    cr_expect_leq(file.fd_plus_1, 100);
    sys_file_close(&file);
}

/* --- directories --- */

Test(sys_file, getdents_lists_a_directory)
{
    char buf[4096];
    int fd = sys_open("/proc/self/task", O_RDONLY | O_DIRECTORY);
    cr_assert_geq(fd, 0);
    cr_expect_gt(sys_getdents(fd, buf, sizeof(buf)), 0);
    cr_expect_eq(sys_getdents(fd, buf, sizeof(buf)), 0);
    sys_close(fd);
}

/* More names than fit into the buffer at once. */
static unsigned names_seen(const char *path, unsigned reads, unsigned char seen[100])
{
    _Alignas(8) char buf[2048];
    struct sys_dir dir;
    const struct dirent64 *entry;
    unsigned number, count = 0;
    cr_assert_eq(sys_dir_open(&dir, path, buf, sizeof(buf)), 0);
    dir.reads_left = reads;
    for (; (entry = sys_dir_next(&dir)) != NULL; count++)
        if (sscanf(entry->d_name, "a-name-of-some-length-%u", &number) == 1 && number < 100)
            seen[number]++;
    cr_expect_eq(dir.got < 0, false);
    sys_dir_close(&dir);
    return count;
}

Test(sys_file, directory_is_read_to_its_end_or_as_often_as_said)
{
    char path[96], dir[] = "/tmp/plim-sys-XXXXXX";
    unsigned char once[100] = {0}, all[100] = {0};
    cr_assert_not_null(mkdtemp(dir));
    for (unsigned i = 0; i < 100; i++) {
        snprintf(path, sizeof(path), "%s/a-name-of-some-length-%u", dir, i);
        rewrite(path, "");
    }
    unsigned some = names_seen(dir, 1, once);
    cr_expect(some > 10 && some < 100, "%u", some);
    cr_expect_eq(names_seen(dir, UINT32_MAX, all), 102u, "with . and ..");
    for (unsigned i = 0; i < 100; i++) {
        cr_expect_eq(all[i], 1, "%u", i);
        snprintf(path, sizeof(path), "%s/a-name-of-some-length-%u", dir, i);
        unlink(path);
    }
    rmdir(dir);
}

Test(sys_file, what_is_no_directory_has_no_names)
{
    char buf[2048];
    struct sys_dir dir;
    cr_expect_eq(sys_dir_open(&dir, "/dev/null", buf, sizeof(buf)), -ENOTDIR);
    cr_expect_null(sys_dir_next(&dir));
    sys_dir_close(&dir);
}
