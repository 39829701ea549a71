/* The seam to the kernel: raw system calls, see sys.h. */
#include "sys_internal.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/sysinfo.h>
#include <time.h>

int sys_close(int fd)
{
    return (int)SYS_CALL(SYS_close, fd); /* Linux frees the number even on EINTR */
}

long sys_read(int fd, void *buf, size_t len)
{
    return SYS_RETRY(SYS_read, fd, buf, len);
}

long sys_pread(int fd, void *buf, size_t len, uint64_t offset)
{
    return SYS_RETRY(SYS_pread64, fd, buf, len, offset);
}

long sys_write(int fd, const void *buf, size_t len)
{
    return SYS_RETRY(SYS_write, fd, buf, len);
}

long sys_getdents(int fd, void *buf, size_t len)
{
    return SYS_RETRY(SYS_getdents64, fd, buf, len);
}

/* poll tells where nobody is at the other end (POLLERR, POLLHUP). The reader may still go between
 * that and the write: then SIGPIPE is taken back. Whether one of the program's own was pending is
 * not asked: a filter may kill for that call, and the program's write has returned EPIPE as
 * well. */
void sys_write_gently(int fd, const void *buf, size_t len)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    struct timespec none = {0};
    const uint64_t sigpipe = (uint64_t)1 << (SIGPIPE - 1);
    uint64_t before;
    if (SYS_RETRY(SYS_ppoll, &ready, 1, &none, NULL, 0) != 1 || ready.revents != POLLOUT)
        return;
    (void)SYS_CALL(SYS_rt_sigprocmask, SIG_BLOCK, &sigpipe, &before, sizeof(sigpipe));
    if (sys_write(fd, buf, len) == -EPIPE)
        (void)SYS_RETRY(SYS_rt_sigtimedwait, &sigpipe, NULL, &none, sizeof(sigpipe));
    sys_restore_signals(before);
}

/* 32 and 33 are the C library's own, by which it has all threads do something. */
uint64_t sys_block_signals(void)
{
#define SIGNAL(number) ((uint64_t)1 << ((number)-1))
    const uint64_t outside = ~(SIGNAL(SIGSEGV) | SIGNAL(SIGBUS) | SIGNAL(SIGILL) | SIGNAL(SIGFPE) |
                               SIGNAL(SIGTRAP) | SIGNAL(SIGSYS) | SIGNAL(32) | SIGNAL(33));
#undef SIGNAL
    uint64_t before = 0;
    (void)SYS_CALL(SYS_rt_sigprocmask, SIG_BLOCK, &outside, &before, sizeof(outside));
    return before;
}

void sys_restore_signals(uint64_t before)
{
    (void)SYS_CALL(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

int sys_poll(struct pollfd *fds, unsigned count, uint64_t timeout_ns)
{
    struct timespec left = to_timespec(timeout_ns); /* the kernel writes back what is left of it */
    return (int)SYS_RETRY(SYS_ppoll, fds, count, timeout_ns == UINT64_MAX ? NULL : &left, NULL, 0);
}

int sys_futex_wake(const _Atomic uint32_t *word, int how_many)
{
    return (int)SYS_CALL(SYS_futex, word, FUTEX_WAKE_PRIVATE, how_many, NULL, NULL, 0);
}

int sys_futex_wake_shared(const _Atomic uint32_t *word, int how_many)
{
    return (int)SYS_CALL(SYS_futex, word, FUTEX_WAKE, how_many, NULL, NULL, 0);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts = {0};
    int saved_errno = errno;
    clock_gettime(clock, &ts);
    errno = saved_errno;
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t sys_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t sys_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

uint64_t sys_thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t sys_process_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t sys_thread_cpu_since(uint64_t start_ns)
{
    return u64_less(sys_thread_cpu_ns(), start_ns);
}

/* A deadline, so that a wait interrupted by signals does not begin anew each time. */
static struct timespec deadline(uint64_t ns)
{
    uint64_t now = sys_now_ns();
    return to_timespec(ns < INT64_MAX - now ? now + ns : INT64_MAX);
}

static int futex_wait(const _Atomic uint32_t *word, int op, uint32_t expect, uint64_t timeout_ns)
{
    struct timespec until = deadline(timeout_ns);
    return (int)SYS_RETRY(SYS_futex, word, op, expect, timeout_ns == UINT64_MAX ? NULL : &until,
                          NULL, FUTEX_BITSET_MATCH_ANY);
}

int sys_futex_wait(const _Atomic uint32_t *word, uint32_t expect, uint64_t timeout_ns)
{
    return futex_wait(word, FUTEX_WAIT_BITSET_PRIVATE, expect, timeout_ns);
}

int sys_futex_wait_shared(const _Atomic uint32_t *word, uint32_t expect, uint64_t timeout_ns)
{
    return futex_wait(word, FUTEX_WAIT_BITSET, expect, timeout_ns);
}

void sys_sleep_ns(uint64_t ns)
{
    struct timespec until = deadline(ns);
    (void)SYS_RETRY(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

void sys_give_way(void)
{
    sys_sleep_ns(NS_PER_MS / 20);
}

bool sys_first_thread_gone(void)
{
    char text[32];
    return sys_read_file("/proc/self/statm", text, sizeof(text)) > 0 && text[0] == '0';
}

uint64_t sys_ram_bytes(void)
{
    struct sysinfo si;
    if (SYS_CALL(SYS_sysinfo, &si) != 0)
        return UNLIMITED;
    return (uint64_t)si.totalram * si.mem_unit;
}

uint64_t sys_swap_free(void)
{
    struct sysinfo si;
    if (SYS_CALL(SYS_sysinfo, &si) != 0)
        return 0;
    return (uint64_t)si.freeswap * si.mem_unit;
}

unsigned sys_affinity(struct cpu_mask *ret)
{
    unsigned count = 0;
    *ret = (struct cpu_mask){0};
    (void)SYS_CALL(SYS_sched_getaffinity, 0, sizeof(*ret), ret);
    for (size_t i = 0; i < ARRAY_LEN(ret->bits); i++)
        count += (unsigned)__builtin_popcountl(ret->bits[i]);
    return count > 0 ? count : 1;
}

unsigned sys_affinity_cpus(void)
{
    struct cpu_mask mask;
    return sys_affinity(&mask);
}

unsigned sys_tid(void)
{
    return (unsigned)SYS_CALL(SYS_gettid);
}

bool sys_on_signal_stack(void)
{
    stack_t stack;
    return SYS_CALL(SYS_sigaltstack, NULL, &stack) == 0 && (stack.ss_flags & SS_ONSTACK) != 0;
}

bool sys_thread_exists(uint32_t tid)
{
    return SYS_CALL(SYS_tgkill, sys_pid(), tid, 0) != -ESRCH;
}

size_t sys_page_size(void)
{
    return getauxval(AT_PAGESZ);
}

bool sys_is_secure(void)
{
    return getauxval(AT_SECURE) != 0;
}
