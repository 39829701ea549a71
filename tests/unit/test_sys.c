/* The seam to the kernel: what its contract in sys.h promises beyond the bare system call, for
 * errors, waits, signals and facts of the machine. */
#include "sys.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

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

/* --- waits --- */

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

/* --- signals --- */

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
