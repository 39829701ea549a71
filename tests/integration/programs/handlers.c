/*
 * Signal handlers that fork while the thread is in the middle of Plimsoll's own work.
 *   handlers asking   at system calls made for sysconf() and plim_cpus()
 *   handlers looking  at system calls made by looks at the limit's line and by purges
 *   handlers timer    wherever a timer finds the thread in sysconf() and plim_cpus(), while others
 *                     allocate at the line
 *   handlers ending   as looking, but the handler ends the program
 * A filter has the kernel raise SIGSYS at the calls by which files are opened and read and pages
 * given back: none of these calls is made with a lock of jemalloc's held, which a fork would wait
 * for.
 *
 * Children allocate and exit, in the handler or once they have returned from it. Prints how many
 * forks there were, how many of them took a second or far longer, and how many children failed;
 * ok=1 at the end. Needs the library; the first two need PLIMSOLL_THREAD=off.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "workload.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { MIB = 1 << 20, FORKS = 200, LIVE_MIB = 24, SOFT_MIB = 28, THREADS = 4 };

/* Declared here and weak: <jemalloc/jemalloc.h>, or another malloc's mallctl, may not be there. */
__attribute__((weak)) int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp,
                                  size_t newlen);

/* --- a fork in a handler --- */

static volatile unsigned forks, took_second, took_long, failed;
static volatile sig_atomic_t forking, is_child, ends;

/* Allocates enough to make a child look as well. */
static void live_a_little(void)
{
    for (size_t size = 16; size <= 2 * MIB; size *= 4) {
        char *block = malloc(size);
        if (!block)
            _exit(2);
        memset(block, 1, size);
        free(block);
    }
}

static bool enough(void)
{
    return forks >= FORKS || took_second >= FORKS / 10 || took_long > 0;
}

/* True in a child that is to go on. */
static bool fork_here(void)
{
    int status = -1;
    double start = now_s();
    pid_t pid = fork();
    if (pid == 0) {
        is_child = 1;
        signal(SIGALRM, SIG_DFL);
        alarm(100); /* ends it if it hangs */
        if (forks % 4 == 0)
            return true;
        live_a_little();
        _exit(0);
    }
    double took = now_s() - start;
    took_second += took > 0.9;
    took_long += took > 15;
    forks++;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    failed += pid < 0 || status != 0;
    return false;
}

/* Ends a child that has returned from the handler into the program. */
static void end_child(void)
{
    if (is_child) {
        live_a_little();
        _exit(0);
    }
}

/* --- at system calls --- */

/* An extra argument by which the filter recognizes the calls that the handler makes in place of
 * those it stopped: the calls themselves have fewer arguments. */
static const unsigned long mark = 0x706c696d;

struct call {
    long number;
    unsigned long args[4];
    unsigned long long *result;
};

static struct call stopped_call(const siginfo_t *info, ucontext_t *context)
{
    mcontext_t *m = &context->uc_mcontext;
#if defined(__x86_64__)
    unsigned long long *r = (unsigned long long *)m->gregs;
    return (struct call){
        info->si_syscall, {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10]}, &r[REG_RAX]};
#elif defined(__aarch64__)
    unsigned long long *r = m->regs;
    return (struct call){info->si_syscall, {r[0], r[1], r[2], r[3]}, &r[0]};
#else
#error "which registers hold the arguments of system calls?"
#endif
}

static void on_call(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    struct call c = stopped_call(info, context);
    (void)number;
    if (ends && !forking) {
        forking = 1;
        exit(0);
    }
    if (!forking && !is_child && !enough()) {
        forking = 1;
        (void)fork_here();
        forking = 0;
    }
    long rc = syscall(c.number, c.args[0], c.args[1], c.args[2], c.args[3], mark, mark);
    *c.result = (unsigned long long)(rc == -1 ? -(long)errno : rc);
    errno = saved_errno;
}

#define LOAD(field)         BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_NOT(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))
#define IF(value, skip)     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (skip), 0)
#define RETURN(what)        BPF_STMT(BPF_RET | BPF_K, (what))

/* Little-endian: the lower half of an argument comes first. */
static void stop_at_calls(void)
{
    struct sock_filter code[] = {
        LOAD(args[5]),
        IF(mark, 6), /* allowed */
        LOAD(nr),
        IF(SYS_openat, 5), /* stopped */
        IF(SYS_pread64, 4),
        IF_NOT(SYS_madvise, 2),
        LOAD(args[2]),
        IF(MADV_DONTNEED, 1),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(SECCOMP_RET_TRAP),
    };
    struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        printf("denied=1\n");
        exit(0);
    }
}

static long asked; /* the sum is used, so that no call is left out */

static void ask(void)
{
    asked += (long)plim_cpus() + sysconf(_SC_NPROCESSORS_ONLN) + sysconf(_SC_AVPHYS_PAGES);
    end_child();
}

static void asking(void)
{
    stop_at_calls();
    for (double start = now_s(); !enough() && now_s() - start < 60; sleep_s(0.025))
        ask();
}

static void purge_by_name(void)
{
    if (mallctl)
        (void)mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
}

static void allocate_and_free(void)
{
    enum { BLOCKS = 64, SIZE = MIB / 16 };
    char *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++)
        memset(blocks[i] = malloc(SIZE), 1, SIZE);
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

/* Live data at the line where free pages are purged. */
static void come_near_the_limit(void)
{
    size_t held;
    if (!block_new((size_t)LIVE_MIB * MIB, &held) || plim_set_limit((uint64_t)SOFT_MIB * MIB) != 0)
        die("no load");
}

static void looking(void)
{
    struct plim_limits limits = {.size = sizeof(limits)};
    come_near_the_limit();
    allocate_and_free();
    stop_at_calls();
    for (double start = now_s(); !enough() && now_s() - start < 60;) {
        allocate_and_free();
        end_child();
        purge_by_name();
        end_child();
        plim_limits(&limits);
        end_child();
        allocate_and_free();
        (void)plim_reclaim(MIB);
        end_child();
    }
}

/* The directory PLIMSOLL_STATS holds this program's stats page and nothing else. */
static unsigned count_pages(void)
{
    unsigned count = 0;
    DIR *dir = opendir(getenv("PLIMSOLL_STATS"));
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

static void ending(void)
{
    struct plim_limits limits = {.size = sizeof(limits)};
    printf("pages=%u ok=1 failed=0\n", count_pages());
    ends = 1;
    stop_at_calls();
    plim_limits(&limits);
    die("no call was stopped");
}

/* --- by a timer --- */

static _Atomic bool stop;

static void *keep_allocating(void *arg)
{
    for (; !atomic_load(&stop); sleep_s(0.001))
        allocate_and_free();
    return arg;
}

/* Starts the timer again only at the end: a slow machine would otherwise do nothing else. */
static void on_timer(int number)
{
    const struct itimerval soon = {.it_value.tv_usec = 2000 + 37 * (forks % 50)};
    int saved_errno = errno;
    (void)number;
    if (!is_child && !fork_here())
        setitimer(ITIMER_REAL, &soon, NULL);
    errno = saved_errno;
}

static void timer(void)
{
    pthread_t threads[THREADS];
    const struct itimerval soon = {.it_value.tv_usec = 2000};
    const struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    sigset_t set;
    come_near_the_limit();
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, keep_allocating, NULL) != 0)
            die("cannot start a thread");
    }
    sigaction(SIGALRM, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    for (double start = now_s(); !enough() && now_s() - start < 60;)
        ask();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    static const struct scenario scenarios[] = {
        {"asking", asking}, {"looking", looking}, {"timer", timer}, {"ending", ending}};
    setlinebuf(stdout);
    if (!plim_present())
        die("needs the library");
    scenario_run(scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc > 1 ? argv[1] : NULL);
    printf("forks=%u took_second=%u took_long=%u failed=%u asked=%ld\n", forks, took_second,
           took_long, failed, asked);
    return 0;
}
