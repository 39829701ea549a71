/*
 * Programs that give up rights, or never had them, in a box of 256 MiB.
 *   confined setuid          user and group of all threads become nobody's
 *   confined no_openat       seccomp refuses to open files
 *   confined trapped_openat  the same, by a signal whose handler returns the error
 *   confined strict          seccomp kills for system calls that plimsoll(7) does not list
 *   confined strict_start    the same, from the program's start on
 *   confined address_space   RLIMIT_AS is met
 *   confined descriptors     RLIMIT_NOFILE of 3
 *   confined no_threads      RLIMIT_NPROC of 0: no watcher can be started
 *   confined unshare_user, setns_user, setns_mount
 *                            what the kernel refuses to processes of several threads
 *   confined stacks          how deep allocations go at most, and the smallest threads there are
 *   confined locked, locked_on_fault
 *                            all memory is locked, as it is mapped or as it is touched
 *   confined no_giving_back  the kernel takes no page back, and there is more than fits
 * Prints what it saw as key=value, ok=1 at the end; denied=1 where the machine does not allow
 * it. Needs the library.
 */
#include "stats_now.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

enum { NOBODY = 65534 };

static const size_t MIB = 1048576;

static void leave_holes(size_t bytes, size_t size, struct block **kept)
{
    struct block *set = NULL, *next;
    size_t held;
    for (size_t i = 0; i < bytes / size; i++) {
        struct block *block = block_new(size, &held);
        if (!block)
            die("malloc failed");
        block->next = set;
        set = block;
    }
    for (size_t i = 0; set; i++, set = next) {
        next = set->next;
        if (i % 16 != 0) {
            free(set);
            continue;
        }
        set->next = *kept;
        *kept = set;
    }
}

/* Fits the box only if free pages are given back. */
static void go_on(void)
{
    struct block *kept = NULL, *next;
    for (size_t size = 32 * 1024; size <= MIB; size *= 2)
        leave_holes(120 * MIB, size, &kept);
    for (; kept; kept = next) {
        next = kept->next;
        if (!block_is_intact(kept))
            die("damaged block");
        free(kept);
    }
    struct plim_limits limits = {.size = sizeof(limits)};
    plim_limits(&limits);
    printf("hard_mib=%.0f\n", (double)limits.hard / (double)MIB);
}

/* --- threads of this process --- */

static size_t give_nothing(const struct plim_pressure *p, void *arg)
{
    (void)p, (void)arg;
    return 0;
}

/* Returns how many threads there are; *ret_others: how many do not run as `uid` (-1: not asked). */
static int count_threads(int uid, int *ret_others)
{
    int count = 0, others = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir)
        die("no /proc/self/task");
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[300], line[256];
        if (entry->d_name[0] == '.')
            continue;
        count++;
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file)) {
            if (strncmp(line, "Uid:", 4) == 0 && strtol(line + 4, NULL, 10) != uid)
                others++;
        }
        if (file)
            fclose(file);
    }
    closedir(dir);
    if (ret_others)
        *ret_others = others;
    return count;
}

/* Makes sure that there are a watcher and the thread that stands by once reclaimers were called. */
static void have_the_watcher(void)
{
    if (plim_reclaimer_add("none", give_nothing, NULL, PLIM_MEDIUM) < 0)
        die("cannot add a reclaimer");
    for (double start = now_s(); count_threads(-1, NULL) < 3 && now_s() - start < 60;)
        (void)plim_reclaim(1024 * MIB);
}

/* --- rights --- */

static void become_nobody(void)
{
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) != 0)
        die("cannot become nobody");
}

static void change_user(void)
{
    int others;
    have_the_watcher();
    become_nobody();
    int threads = count_threads(NOBODY, &others);
    printf("threads=%d others=%d\n", threads, others);
    go_on();
}

static scmp_filter_ctx new_filter(uint32_t action)
{
    scmp_filter_ctx filter = seccomp_init(action);
    if (!filter || seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) != 0)
        die("no filter of system calls");
    return filter;
}

static void add_rule(scmp_filter_ctx filter, uint32_t action, const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR || seccomp_rule_add(filter, action, number, 0) != 0)
        die("cannot filter %s", name);
}

static void go_on_under(scmp_filter_ctx filter)
{
    if (seccomp_load(filter) != 0)
        die("cannot load the filter");
    printf("refused=%d\n", open("/proc/self/stat", O_RDONLY) < 0 && errno == EACCES);
    go_on();
}

static void refuse_openat(void)
{
    scmp_filter_ctx filter = new_filter(SCMP_ACT_ALLOW);
    have_the_watcher();
    add_rule(filter, SCMP_ACT_ERRNO(EACCES), "open");
    add_rule(filter, SCMP_ACT_ERRNO(EACCES), "openat");
    go_on_under(filter);
}

#if defined(__x86_64__) || defined(__aarch64__)
/* Answers as a sandbox does, which may ask another process first. */
static void answer(int sig, siginfo_t *info, void *context)
{
    mcontext_t *at = &((ucontext_t *)context)->uc_mcontext;
    (void)sig, (void)info;
#ifdef __x86_64__
    at->gregs[REG_RAX] = -EACCES;
#else
    at->regs[0] = (unsigned long long)-EACCES;
#endif
}

static void trap_openat(void)
{
    const struct sigaction on_trap = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO};
    scmp_filter_ctx filter = new_filter(SCMP_ACT_ALLOW);
    have_the_watcher();
    if (sigaction(SIGSYS, &on_trap, NULL) != 0)
        die("no handler");
    add_rule(filter, SCMP_ACT_TRAP, "openat");
    go_on_under(filter);
}
#else
static void trap_openat(void)
{
    puts("denied=1");
}
#endif

/* The list that plimsoll(7) has under SYSTEM CALLS; a test compares the two. */
static const char *const library_calls[] = {
    "clock_gettime",
    "clock_nanosleep",
    "clone",
    "clone3",
    "close",
    "connect",
    "dup3",
    "eventfd2",
    "exit",
    "faccessat",
    "fallocate",
    "fchmod",
    "fcntl",
    "fstat",
    "futex",
    "getdents64",
    "geteuid",
    "getpid",
    "getresuid",
    "gettid",
    "ioctl",
    "kill",
    "madvise",
    "mmap",
    "mprotect",
    "munmap",
    "newfstatat",
    "open",
    "openat",
    "pipe2",
    "ppoll",
    "prctl",
    "pread64",
    "prlimit64",
    "pwrite64",
    "read",
    "readlink",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigtimedwait",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_setaffinity",
    "sched_setscheduler",
    "sched_yield",
    "set_robust_list",
    "sigaltstack",
    "socket",
    "sysinfo",
    "tgkill",
    "unlinkat",
    "write",
};
/* What this program and the C library need besides. */
static const char *const own_calls[] = {
    "access",       "arch_prctl",      "brk",   "execve", "exit_group",
    "rt_sigreturn", "set_tid_address", "setns",
};

/* What starts the watcher then has to undo this for it. */
static void be_bound_to_a_cpu(void)
{
    const struct sched_param none = {0};
    cpu_set_t cpus, one;
    int cpu = 0;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
        die("no affinity");
    while (!CPU_ISSET(cpu, &cpus))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0 ||
        sched_setscheduler(0, SCHED_BATCH, &none) != 0)
        die("cannot be bound to a CPU");
}

static scmp_filter_ctx new_strict_filter(bool has_fallocate)
{
    scmp_filter_ctx filter = new_filter(SCMP_ACT_KILL_PROCESS);
    for (size_t i = 0; i < sizeof(library_calls) / sizeof(library_calls[0]); i++) {
        bool lacks = !has_fallocate && strcmp(library_calls[i], "fallocate") == 0;
        add_rule(filter, lacks ? SCMP_ACT_ERRNO(EOPNOTSUPP) : SCMP_ACT_ALLOW, library_calls[i]);
    }
    for (size_t i = 0; i < sizeof(own_calls) / sizeof(own_calls[0]); i++)
        add_rule(filter, SCMP_ACT_ALLOW, own_calls[i]);
    return filter;
}

/* More live data than the limit allows: the library logs lines, where they are wanted, and reports
 * it by the descriptor, where there is one. */
static void exceed_the_limit(int pressure)
{
    char byte, *live = malloc(64 * MIB);
    bool told = false;
    if (!live || plim_set_limit(32 * MIB) != 0)
        die("no limit to exceed");
    memset(live, 1, 64 * MIB);
    for (double start = now_s(); now_s() - start < 60; sleep_s(0.02)) {
        told = told || read(pressure, &byte, 1) == 1;
        if (plim_level() >= PLIM_MEDIUM && (told || pressure < 0))
            break;
    }
    printf("level=%d told=%d\n", (int)plim_level(), told);
    if (plim_set_limit(0) != 0)
        die("the limit stays");
    free(live);
}

static void allow_listed_only(void)
{
    const char *watch = getenv("MEMORY_PRESSURE_WATCH");
    int pressure = watch ? open(watch, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    be_bound_to_a_cpu();
    if (seccomp_load(new_strict_filter(true)) != 0)
        die("cannot load the filter");
    if (plim_reclaimer_add("none", give_nothing, NULL, PLIM_MEDIUM) < 0)
        die("cannot add a reclaimer");
    for (int i = 0; i < 3; i++)
        (void)plim_reclaim(1024 * MIB);
    if (setns(-1, 0) == 0) /* no namespace, but the watcher makes way first */
        die("nothing was entered");
    exceed_the_limit(pressure);
    go_on();
    sleep_s(2.5); /* the watcher looks by its timer, and follows what may have changed */
    go_on();
}

/* Without fallocate(2), as where the stats page's file system has none. */
static void start_anew(void)
{
    char *const argv[] = {"confined", "started", NULL};
    if (seccomp_load(new_strict_filter(false)) != 0)
        die("cannot load the filter");
    execv("/proc/self/exe", argv);
    die("cannot start anew");
}

static void started(void)
{
    exceed_the_limit(-1);
    go_on();
}

/* --- limits --- */

static void limit_to(int resource, rlim_t to)
{
    const struct rlimit limit = {to, to};
    if (setrlimit(resource, &limit) != 0)
        die("cannot set a limit");
}

/* Allocates until malloc refuses; returns the number of blocks. */
static size_t fill_and_empty(void)
{
    struct block *set = NULL, *block, *next;
    size_t held, count = 0;
    while ((block = block_new(100 * 1000, &held))) {
        block->next = set;
        set = block;
        count++;
    }
    for (; set; set = next) {
        next = set->next;
        free(set);
    }
    return count;
}

static void meet_address_space(void)
{
    limit_to(RLIMIT_AS, own_memory(OWN_ADDRESSES) + 64 * MIB);
    errno = 0;
    size_t count = fill_and_empty();
    printf("got=%zu enomem=%d\n", count, errno == ENOMEM);
    printf("again=%d\n", fill_and_empty() > count * 9 / 10);
}

static void few_descriptors(void)
{
    limit_to(RLIMIT_NOFILE, 3);
    go_on();
}

static void no_threads(void)
{
    limit_to(RLIMIT_NPROC, 0);
    become_nobody();
    go_on();
    printf("threads=%d wakeups=%.0f\n", count_threads(-1, NULL),
           (double)stats_now().watcher_wakeups);
}

/* --- namespaces --- */

static bool watcher_looks_again(void)
{
    uint64_t wakeups = stats_now().watcher_wakeups;
    struct plim_limits limits = {.size = sizeof(limits)};
    for (double start = now_s(); now_s() - start < 60; sleep_s(0.02)) {
        plim_limits(&limits); /* wakes the watcher */
        if (stats_now().watcher_wakeups > wakeups + 1)
            return true;
    }
    return false;
}

static void tell_denied(int error)
{
    printf("denied=%d errno=%d\n", error == EPERM || error == ENOSPC || error == EUSERS, error);
}

/* In a child, as a process can do it only once: a second time needs a mapping of users. The bare
 * system call is refused while the watcher runs, which shows that it does. Exit status: 0, or the
 * error. */
static void unshare_in_child(void)
{
    alarm(100);
    have_the_watcher();
    if (syscall(SYS_unshare, CLONE_NEWUSER) == 0 || errno != EINVAL)
        _exit(errno == EPERM || errno == ENOSPC ? errno : 200);
    if (unshare(CLONE_NEWUSER) != 0)
        _exit(errno);
    _exit(watcher_looks_again() ? 0 : 201);
}

static void unshare_user(void)
{
    int unshared = 0;
    for (int i = 0; i < 20; i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0)
            unshare_in_child();
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            die("no child");
        if (status != 0) {
            tell_denied(WEXITSTATUS(status));
            return;
        }
        unshared++;
    }
    printf("unshared=%d\n", unshared);
}

/* A descriptor of a namespace of a child, which lives until this process ends. */
static int foreign_namespace(int flag, const char *name)
{
    char path[64], byte;
    int ends[2];
    if (pipe(ends) != 0)
        die("pipe failed");
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(flag) != 0 || write(ends[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    if (read(ends[0], &byte, 1) != 1)
        return -EPERM;
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void enter(int flag, const char *name)
{
    int fd = foreign_namespace(flag, name);
    if (fd < 0) {
        tell_denied(EPERM);
        return;
    }
    have_the_watcher();
    printf("raw_einval=%d\n", syscall(SYS_setns, fd, flag) != 0 && errno == EINVAL);
    if (setns(fd, flag) != 0)
        tell_denied(errno);
    else
        printf("entered=1 watched=%d\n", watcher_looks_again());
}

static void setns_user(void)
{
    enter(CLONE_NEWUSER, "user");
}

static void setns_mount(void)
{
    enter(CLONE_NEWNS, "mnt");
}

/* --- stacks --- */

enum { PAINT = 0xa5, STACK = 256 * 1024 };

/* Where the measured thread's own frame is; such threads run one at a time. */
static char *volatile top;

/* Makes looks of all kinds: a thread's first, those for large requests, with purges, with limits
 * read anew; in a child the one that makes its stats page. */
static void *look_often(void *arg)
{
    top = __builtin_frame_address(0);
    for (int i = 0; i < 300; i++) {
        void *volatile block = malloc(MIB + (size_t)i * 4096);
        if (block)
            memset(block, 1, MIB);
        free(block);
        block = calloc(1, 100 * 1000);
        block = realloc(block, 200 * 1000);
        free(block);
        if (i % 10 == 0)
            sleep_s(0.021);
    }
    return arg;
}

static void run_on(void *stack, size_t size)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (pthread_attr_init(&attr) != 0 || pthread_attr_setstack(&attr, stack, size) != 0 ||
        pthread_create(&thread, &attr, look_often, NULL) != 0)
        die("cannot start a thread");
    pthread_join(thread, NULL);
}

static size_t depth_below(const unsigned char *stack)
{
    size_t untouched = 0;
    while (untouched < STACK && stack[untouched] == PAINT)
        untouched++;
    return (size_t)(top - (const char *)stack) - untouched;
}

static void measure(void)
{
    unsigned char *stack =
        mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        die("no stack");
    memset(stack, PAINT, STACK);
    run_on(stack, STACK);
    printf("depth=%zu\n", depth_below(stack));
    run_on(stack, (size_t)sysconf(_SC_THREAD_STACK_MIN));
}

static void stacks(void)
{
    struct block *kept = NULL;
    leave_holes(60 * MIB, 48 * 1024, &kept);
    if (plim_set_limit(72 * MIB) != 0)
        die("no limit");
    fflush(stdout);
    pid_t pid = fork();
    int status = -1;
    if (pid == 0) { /* finds its cgroup anew, and makes a page of its own */
        measure();
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        die("the child failed");
    measure();
}

/* --- locked memory --- */

static long status_kib(const char *key)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtol(line + strlen(key), NULL, 10);
    }
    if (file)
        fclose(file);
    return kib;
}

static void lock_all(int flags)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE | flags) != 0) {
        printf("denied=1\n");
        return;
    }
    char *live = malloc(32 * MIB);
    if (!live)
        die("malloc failed");
    memset(live, 1, 32 * MIB);
    go_on();
    printf("locked_mib=%ld\n", status_kib("VmLck:") / 1024);
    printf("resident_mib=%ld\n", status_kib("VmRSS:") / 1024);
    free(live);
}

static void locked(void)
{
    lock_all(0);
}

static void locked_on_fault(void)
{
    lock_all(MCL_ONFAULT);
}

/* --- pages stay --- */

/* This is so where seccomp refuses madvise(2), or pages are locked on an old kernel. */
static void no_giving_back(void)
{
    enum { BLOCKS = 180, LARGE = 40 };
    static char *blocks[BLOCKS];
    const int locked_too[] = {MADV_DONTNEED, MADV_DONTNEED_LOCKED};
    scmp_filter_ctx filter = new_filter(SCMP_ACT_ALLOW);
    for (size_t i = 0; i < 2; i++) {
        if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(madvise), 1,
                             SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)locked_too[i])) != 0)
            die("no such rule");
    }
    if (seccomp_load(filter) != 0)
        die("cannot load the filter");
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(MIB);
        if (!blocks[i])
            die("malloc failed");
        memset(blocks[i], 1, MIB);
    }
    for (int i = 0; i < BLOCKS; i += 2)
        free(blocks[i]);
    int served = 0, enomem = 0;
    for (char *large; served < LARGE && !enomem; served++) {
        large = malloc(3 * MIB); /* no hole is that large */
        enomem = !large && errno == ENOMEM;
        if (large)
            memset(large, 1, 3 * MIB);
    }
    printf("served=%d enomem=%d\n", served, enomem);
    printf("small=%d\n", malloc(1000) != NULL);
}

int main(int argc, char **argv)
{
    static const struct scenario scenarios[] = {
        {"setuid", change_user},
        {"no_openat", refuse_openat},
        {"trapped_openat", trap_openat},
        {"strict", allow_listed_only},
        {"strict_start", start_anew},
        {"started", started},
        {"address_space", meet_address_space},
        {"descriptors", few_descriptors},
        {"no_threads", no_threads},
        {"unshare_user", unshare_user},
        {"setns_user", setns_user},
        {"setns_mount", setns_mount},
        {"stacks", stacks},
        {"locked", locked},
        {"locked_on_fault", locked_on_fault},
        {"no_giving_back", no_giving_back},
    };
    setlinebuf(stdout);
    if (!plim_present())
        die("needs the library");
    scenario_run(scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc == 2 ? argv[1] : NULL);
    return 0;
}
