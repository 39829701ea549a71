/*
 * A kernel that fails, see faults.h: linked into a copy of the library that is never installed, in
 * front of the functions through which src/sys*.c calls the kernel (ld --wrap). Calls that are not
 * to fail are passed on.
 */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);
int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);

/* Set by the first call that needs it; if two threads do, mapping the file twice does no harm.
 * NULL: not looked for yet; &none: there is no schedule. */
static _Atomic(struct faults *) schedule;
static struct faults none;

static struct faults *find(void)
{
    const char *path = environ != NULL ? getenv("PLIM_FAULTS") : NULL;
    if (environ == NULL)
        return &none; /* too early: the next call looks again */
    struct faults *found = &none;
    long fd = path == NULL ? -1 : __real_syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd >= 0) {
        long p = __real_syscall(SYS_mmap, NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED,
                                fd, 0);
        (void)__real_syscall(SYS_close, fd);
        if (p > 0 && memcmp((void *)p, FAULTS_MAGIC, sizeof(found->magic)) == 0)
            found = (void *)p;
    }
    atomic_store(&schedule, found);
    return found;
}

void faults_use(struct faults *faults)
{
    atomic_store(&schedule, faults != NULL ? faults : &none);
}

static uint64_t mix(uint64_t n) /* splitmix64 */
{
    n += 0x9e3779b97f4a7c15;
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
    n = (n ^ n >> 27) * 0x94d049bb133111eb;
    return n ^ n >> 31;
}

/* Whether the next call of that class fails; *ret_choice: a random number that chooses how. */
static bool strikes(enum fault_class class, uint64_t *ret_choice)
{
    struct faults *f = atomic_load(&schedule);
    if (f == NULL) {
        int saved = errno;
        f = find();
        errno = saved;
    }
    if (f->permille[class] == 0)
        return false;
    uint64_t n = mix(f->seed ^ mix(atomic_fetch_add(&f->decided, 1)));
    if (n % 1000 >= f->permille[class])
        return false;
    atomic_fetch_add(&f->injected[class], 1);
    *ret_choice = n / 1000;
    return true;
}

static bool fails(enum fault_class class, const int *errors, unsigned count)
{
    uint64_t choice;
    if (!strikes(class, &choice))
        return false;
    errno = errors[choice % count];
    return true;
}
#define FAILS(class, ...)                                                                          \
    fails(FAULT_##class, (const int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

enum kind { KIND_OTHER, KIND_DISK, KIND_PROC, KIND_CGROUP };

/* The kind of file behind a descriptor, which decides how calls on it can fail. */
static enum kind kind_of(long fd)
{
    struct stat st;
    struct statfs fs;
    if (__real_syscall(SYS_fstat, fd, &st) != 0 || __real_syscall(SYS_fstatfs, fd, &fs) != 0 ||
        !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return KIND_OTHER;
    switch ((unsigned long)fs.f_type) {
    case PROC_SUPER_MAGIC:
        return KIND_PROC;
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
        return KIND_CGROUP;
    default:
        return KIND_DISK;
    }
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* A read of eight bytes is one of an eventfd. */
static bool fails_read(enum kind kind, long len)
{
    return FAILS(eintr, EINTR) || (kind == KIND_CGROUP && FAILS(vanish, ENODEV)) ||
           (kind == KIND_PROC && FAILS(vanish, ESRCH)) || (kind == KIND_DISK && FAILS(io, EIO)) ||
           (kind >= KIND_PROC && FAILS(nomem, ENOMEM)) ||
           (kind == KIND_OTHER && len == 8 && FAILS(eventfd, EAGAIN));
}

static bool fails_write(enum kind kind, long len)
{
    return FAILS(eintr, EINTR) || (kind == KIND_DISK && FAILS(io, ENOSPC, EIO, EDQUOT)) ||
           (kind == KIND_OTHER && len == 8 && FAILS(eventfd, EAGAIN));
}

/* The process's own files in /proc never vanish. */
static bool fails_open(const char *path)
{
    bool stays = begins(path, "/proc/self/"), cgroup = begins(path, "/sys/fs/cgroup/");
    return FAILS(eintr, EINTR) || (cgroup && FAILS(vanish, ENODEV)) ||
           (!cgroup && !stays && FAILS(vanish, ENOENT)) || FAILS(fds, EMFILE, ENFILE) ||
           ((cgroup || stays) && FAILS(nomem, ENOMEM));
}

/* Makes a read or write shorter. */
static void cut(long *len, unsigned least)
{
    uint64_t choice;
    if (*len > (long)least && strikes(FAULT_pieces, &choice))
        *len = least + (long)(choice % (uint64_t)(*len - (long)least));
}

/* Fails the call, with errno set; or may shorten it. */
static bool call_fails(long number, long *a)
{
    enum kind kind;
    switch (number) {
    case SYS_openat:
        return fails_open((const char *)a[1]);
    case SYS_read:
    case SYS_pread64:
        kind = kind_of(a[0]);
        if (kind != KIND_OTHER)
            cut(&a[2], 1);
        return fails_read(kind, a[2]);
    case SYS_write:
    case SYS_pwrite64:
        kind = kind_of(a[0]);
        if (kind == KIND_DISK)
            cut(&a[2], 1);
        return fails_write(kind, a[2]);
    case SYS_getdents64:
        cut(&a[2], 512);
        return FAILS(eintr, EINTR) || FAILS(vanish, ENOENT) || FAILS(io, EIO);
    case SYS_fallocate:
        return FAILS(eintr, EINTR) || FAILS(io, ENOSPC, EOPNOTSUPP);
    case SYS_unlinkat:
        return FAILS(vanish, ENOENT) || FAILS(io, EIO, EROFS);
    case SYS_mmap:
        return FAILS(nomem, ENOMEM);
    case SYS_madvise:
        return FAILS(madvise, EAGAIN, EAGAIN, EAGAIN, EAGAIN, EINVAL, ENOMEM);
    case SYS_eventfd2:
        return FAILS(fds, EMFILE, ENFILE) || FAILS(eventfd, ENOMEM, ENODEV);
    case SYS_pipe2:
    case SYS_socket:
    case SYS_dup3:
        return FAILS(fds, EMFILE, ENFILE);
    case SYS_fcntl:
        return a[1] == F_DUPFD_CLOEXEC && FAILS(fds, EMFILE);
    case SYS_ppoll:
        return FAILS(eintr, EINTR) || FAILS(poll, ENOMEM, EINVAL);
    case SYS_clock_nanosleep:
        return FAILS(eintr, EINTR);
    case SYS_futex:
        return (a[1] & FUTEX_CMD_MASK) != FUTEX_WAKE &&
               (FAILS(eintr, EINTR) || FAILS(futex, EAGAIN));
    default:
        return false;
    }
}

long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list args;
    uint64_t choice;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (call_fails(number, a))
        return -1;
    if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) != FUTEX_WAKE &&
        strikes(FAULT_futex, &choice))
        return 0; /* woken without a reason */
    long rc = __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_close && rc == 0 && FAILS(eintr, EINTR))
        return -1; /* the descriptor is closed all the same */
    return rc;
}

int __wrap_eventfd(unsigned count, int flags)
{
    if (FAILS(fds, EMFILE, ENFILE) || FAILS(eventfd, ENOMEM, ENODEV))
        return -1;
    return __real_eventfd(count, flags);
}

/* Only the wall clock: the other ones never jump. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
    static const time_t jumps[] = {0, -86400, 1, 2147483647, 4102444800, 18446744072};
    uint64_t choice;
    int rc = __real_clock_gettime(clock, ts);
    if (rc == 0 && clock == CLOCK_REALTIME && strikes(FAULT_clock, &choice))
        ts->tv_sec = jumps[choice % (sizeof(jumps) / sizeof(jumps[0]))];
    return rc;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    uint64_t choice;
    return strikes(FAULT_thread, &choice) ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}
