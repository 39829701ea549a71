/* The seam to the kernel: what its contract in sys.h promises beyond the bare system call. */
#include "sys.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static char temp[64];

static void temp_file(const char *text)
{
    snprintf(temp, sizeof(temp), "/tmp/plim-sys-XXXXXX");
    int fd = mkstemp(temp);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void temp_remove(void)
{
    unlink(temp);
}

static void rewrite(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

TestSuite(sys, .fini = temp_remove);

/* A child shares its parent's pages until either writes to them. */
Test(sys, recent_time_is_never_ahead_and_comes_along, .timeout = 60)
{
    uint64_t before = sys_now_ns();
    cr_expect_leq(sys_recent_ns(), sys_now_ns());
    while (sys_recent_ns() < before)
        ;
}

Test(sys, pages_are_shared_with_a_child_that_was_forked)
{
    const size_t len = 64 * 4096;
    char *p = sys_map(NULL, len, 4096);
    cr_assert_not_null(p);
    memset(p, 1, len);
    cr_expect_not(sys_shares_pages(p, len));
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    cr_expect(sys_shares_pages(p, len));
    memset(p, 2, len / 2);
    cr_expect(sys_shares_pages(p, len), "the second half");
    memset(p, 2, len);
    cr_expect_not(sys_shares_pages(p, len), "they are its own again");
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    sys_unmap(p, len);
}

Test(sys, errors_are_returned_and_errno_stays)
{
    char buf[4];
    struct sys_file file = {0};
    errno = 77;
    cr_expect_eq(sys_open("/nonexistent/x", O_RDONLY), -ENOENT);
    cr_expect_eq(sys_read(-1, buf, sizeof(buf)), -EBADF);
    cr_expect_eq(sys_close(-1), -EBADF);
    cr_expect_eq(sys_read_file("/nonexistent/x", buf, sizeof(buf)), -ENOENT);
    cr_expect_eq(sys_read_file("/proc", buf, sizeof(buf)), -EISDIR);
    cr_expect_eq(sys_file_read(&file, "/nonexistent/x", buf, sizeof(buf)), -ENOENT);
    cr_expect_eq(file.fd_plus_1, 0);
    cr_expect_eq(sys_madvise((void *)1, 4096, MADV_DONTNEED), -EINVAL);
    cr_expect_eq(errno, 77);
}

Test(sys, opened_files_are_closed_on_exec)
{
    int fd = sys_open("/dev/null", O_RDONLY);
    cr_assert_geq(fd, 0);
    cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    cr_expect_eq(sys_close(fd), 0);
}

Test(sys, read_file_is_cut_at_the_buffer_and_ended)
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

Test(sys, held_file_shows_what_changed_through_one_descriptor)
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

Test(sys, held_file_survives_its_number_being_closed)
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

Test(sys, held_file_whose_number_was_reused_is_left_to_its_new_owner)
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

Test(sys, held_file_works_where_high_numbers_are_not_to_be_had)
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

static void on_alarm(int signal)
{
    (void)signal;
}

/* A timer signal every `us`, whose handler does not restart system calls. */
static void alarms(long us)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {{0, us}, {0, us}};
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void *write_later(void *arg)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    usleep(50 * 1000);
    cr_assert_eq(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

Test(sys, read_goes_on_after_a_signal)
{
    int fds[2];
    char c = 0;
    pthread_t thread;
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(pthread_create(&thread, NULL, write_later, &fds[1]), 0);
    alarms(5000);
    cr_expect_eq(sys_read(fds[0], &c, 1), 1);
    cr_expect_eq(c, 'x');
    alarms(0);
    pthread_join(thread, NULL);
}

Test(sys, waits_last_as_long_as_asked_whatever_signals_come)
{
    _Atomic uint32_t word = 1;
    alarms(5000);
    uint64_t before = sys_now_ns();
    cr_expect_eq(sys_futex_wait(&word, 1, 60 * NS_PER_MS), -ETIMEDOUT);
    uint64_t between = sys_now_ns();
    cr_expect_geq(between - before, 60 * NS_PER_MS);
    cr_expect_lt(between - before, NS_PER_S, "a signal must not begin the wait anew");
    sys_sleep_ns(60 * NS_PER_MS);
    uint64_t slept = sys_now_ns() - between;
    cr_expect_geq(slept, 60 * NS_PER_MS);
    cr_expect_lt(slept, NS_PER_S);
    alarms(0);
}

static void *wake_later(void *arg)
{
    _Atomic uint32_t *word = arg;
    sys_sleep_ns(20 * NS_PER_MS);
    atomic_store(word, 2);
    sys_futex_wake(word, 1);
    return NULL;
}

Test(sys, futex_wakes_and_notices_a_change_before)
{
    _Atomic uint32_t word = 1;
    pthread_t thread;
    cr_expect_eq(sys_futex_wait(&word, 5, UINT64_MAX), -EAGAIN);
    cr_expect_eq(sys_futex_wait(&word, 1, 0), -ETIMEDOUT);
    cr_assert_eq(pthread_create(&thread, NULL, wake_later, &word), 0);
    while (atomic_load(&word) == 1)
        (void)sys_futex_wait(&word, 1, UINT64_MAX);
    pthread_join(thread, NULL);
    cr_expect_eq(sys_futex_wake(&word, 1), 0);
}

Test(sys, map_is_aligned_zeroed_and_trimmed)
{
    for (size_t align = 4096; align <= 64 * MiB; align *= 4) {
        char *p = sys_map(NULL, 3 * 4096, align);
        cr_assert_not_null(p);
        cr_expect_eq((uintptr_t)p % align, 0u);
        cr_expect_eq(p[0] | p[3 * 4096 - 1], 0);
        memset(p, 1, 3 * 4096);
        sys_unmap(p, 3 * 4096);
    }
}

Test(sys, map_that_cannot_be_is_null)
{
    cr_expect_null(sys_map(NULL, SIZE_MAX & ~(size_t)4095, 4096));
    cr_expect_null(sys_map(NULL, (size_t)1 << 62, 64 * MiB));
}

Test(sys, memory_is_mapped_over_what_was_there)
{
    temp_file("ours");
    int fd = open(temp, O_RDWR);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert(fd >= 0 && p != MAP_FAILED && p[0] == 'o');
    cr_expect_eq(sys_map_over(p, 8192), 0);
    cr_expect(p[0] == 0 && p[8191] == 0);
    p[0] = 'x';
    char now;
    cr_expect(pread(fd, &now, 1, 0) == 1 && now == 'o');
    munmap(p, 8192);
    close(fd);
    temp_remove();
}

static volatile sig_atomic_t came;

static void note_signal(int number)
{
    came = number;
}

Test(sys, blocked_signals_come_later_but_for_ones_own)
{
    sigset_t now;
    signal(SIGUSR1, note_signal);
    signal(SIGSYS, note_signal);
    uint64_t before = sys_block_signals();
    cr_assert_eq(raise(SIGUSR1), 0);
    cr_expect_eq(came, 0);
    cr_assert_eq(raise(SIGSYS), 0);
    cr_expect_eq(came, SIGSYS);
    sys_restore_signals(before);
    cr_expect_eq(came, SIGUSR1);
    cr_assert_eq(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
    cr_expect_eq(sigismember(&now, SIGUSR1), 0);
}

static bool is_pending(int number)
{
    sigset_t now;
    return sigpending(&now) == 0 && sigismember(&now, number) == 1;
}

/* Writes to a pipe without a reader and to a socket that is shut down: poll does not report
 * either. */
static void writes_in_vain(void)
{
    int ends[2];
    cr_assert(pipe(ends) == 0 && close(ends[0]) == 0);
    sys_write_gently(ends[1], "x", 1);
    close(ends[1]);
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && shutdown(ends[0], SHUT_WR) == 0);
    sys_write_gently(ends[0], "x", 1);
    close(ends[0]);
    close(ends[1]);
}

Test(sys, a_gentle_write_in_vain_raises_nothing)
{
    sigset_t sigpipe, now;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    signal(SIGPIPE, note_signal);
    writes_in_vain();
    cr_expect_eq(came, 0);
    cr_assert_eq(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
    cr_expect_eq(sigismember(&now, SIGPIPE), 0);
    pthread_sigmask(SIG_BLOCK, &sigpipe, NULL);
    writes_in_vain();
    cr_expect_not(is_pending(SIGPIPE));
}

Test(sys, a_gentle_write_that_is_read_leaves_what_is_pending)
{
    sigset_t sigpipe;
    char byte = 0;
    int ends[2];
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, NULL);
    cr_assert(pipe(ends) == 0 && raise(SIGPIPE) == 0);
    sys_write_gently(ends[1], "x", 1);
    cr_expect(read(ends[0], &byte, 1) == 1 && byte == 'x');
    cr_expect(is_pending(SIGPIPE));
    close(ends[0]);
    close(ends[1]);
}

Test(sys, getdents_lists_a_directory)
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

Test(sys, directory_is_read_to_its_end_or_as_often_as_said)
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

Test(sys, what_is_no_directory_has_no_names)
{
    char buf[2048];
    struct sys_dir dir;
    cr_expect_eq(sys_dir_open(&dir, "/dev/null", buf, sizeof(buf)), -ENOTDIR);
    cr_expect_null(sys_dir_next(&dir));
    sys_dir_close(&dir);
}

Test(sys, machine_is_described_as_libc_does)
{
    uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    cr_expect_eq(sys_ram_bytes(), ram);
    cr_expect_leq(sys_affinity_cpus(), (unsigned)sysconf(_SC_NPROCESSORS_CONF));
    cr_expect_geq(sys_affinity_cpus(), 1u);
    cr_expect_eq(sys_tid(), (unsigned)getpid());
    cr_expect(!sys_is_secure());
}

Test(sys, thread_time_counts_only_work)
{
    uint64_t before = sys_thread_cpu_ns();
    sys_sleep_ns(30 * NS_PER_MS);
    cr_expect_lt(sys_thread_cpu_ns() - before, 20 * NS_PER_MS);
}

Test(sys, a_file_is_created_only_where_there_is_none_and_with_its_blocks)
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

Test(sys, only_regular_files_have_an_owner_that_counts)
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

Test(sys, pages_in_memory_are_told_from_those_that_are_not)
{
    enum { PAGES = 1000, PAGE = 4096 }; /* more pages than are read at once */
    static struct sys_pagemap map;
    char *p = sys_map(NULL, PAGES * PAGE, PAGE);
    cr_assert_not_null(p);
    (void)sys_madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < PAGES; i += 3)
        p[i * PAGE] = 1;
    cr_assert_eq(sys_pagemap_open(&map), 0);
    for (size_t i = 0; i < PAGES; i++) {
        sys_pagemap_read(&map, (uintptr_t)p + i * PAGE, PAGE);
        cr_assert_eq(sys_pagemap_at(&map, (uintptr_t)p + i * PAGE),
                     i % 3 == 0 ? SYS_PAGE_IN_MEMORY : SYS_PAGE_ABSENT, "page %zu", i);
    }
    sys_pagemap_close(&map);
    sys_unmap(p, PAGES * PAGE);
}

Test(sys, all_pages_are_in_memory_where_it_cannot_be_told)
{
    static struct sys_pagemap map;
    static char here;
    struct rlimit before;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max}), 0);
    int rc = sys_pagemap_open(&map);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_expect_eq(rc, -EMFILE);
    sys_pagemap_read(&map, (uintptr_t)&here, 1);
    cr_expect_eq(sys_pagemap_at(&map, (uintptr_t)&here), SYS_PAGE_IN_MEMORY);
    sys_pagemap_close(&map);
    cr_expect_eq(sys_pagemap_open(&map), 0, "there are descriptors again");
    sys_pagemap_close(&map);
}

Test(sys, who_is_refused_the_page_map_does_not_ask_again_at_once)
{
    static struct sys_pagemap map;
    if (geteuid() != 0)
        cr_skip_test("needs root");
    cr_assert_eq(setresuid(65534, 65534, 65534), 0); /* its page map is now only for root */
    cr_expect_eq(sys_pagemap_open(&map), -EACCES);
    cr_expect_eq(sys_pagemap_open(&map), -EAGAIN);
    sys_pagemap_close(&map);
}
