/* Files that are read whole, and those held open across calls, see sys.h. */
#include "sys_internal.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

/* Fills buf from the start of fd and ends it with NUL. */
static long read_start(int fd, char *buf, size_t len)
{
    size_t got = 0;
    while (got < len - 1) {
        long n = sys_pread(fd, buf + got, len - 1 - got, got);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    buf[got] = '\0';
    return (long)got;
}

long sys_read_file(const char *path, char *buf, size_t len)
{
    if (len == 0)
        return -EINVAL;
    int fd = sys_open(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return fd;
    long got = read_start(fd, buf, len);
    sys_close(fd);
    return got;
}

/* The mark: our eventfds have this as the signal for asynchronous I/O, which is never turned on.
 * SIGRTMAX, which nobody sets by chance. */
enum { MARK = 64 };

bool sys_file_is_ours(const struct sys_file *file)
{
    struct stat st;
    int fd = file->fd_plus_1 - 1;
    if (fd < 0 || SYS_CALL(SYS_fstat, fd, &st) != 0)
        return false;
    return (uint64_t)st.st_dev == file->dev && (uint64_t)st.st_ino == file->ino &&
           (!file->marked || SYS_CALL(SYS_fcntl, fd, F_GETSIG) == MARK);
}

int sys_file_adopt(struct sys_file *file, int fd)
{
    struct stat st;
    if (SYS_CALL(SYS_fstat, fd, &st) != 0)
        return -EBADF;
    *file = (struct sys_file){
        .fd_plus_1 = fd + 1, .dev = (uint64_t)st.st_dev, .ino = (uint64_t)st.st_ino};
    return 0;
}

/* RLIMIT_NOFILE may allow no number as high as HIGH. */
enum { HIGH = 512, HIGH_ENOUGH = 16 };

static bool is_same_file(int a, int b)
{
    struct stat one, other;
    return SYS_CALL(SYS_fstat, a, &one) == 0 && SYS_CALL(SYS_fstat, b, &other) == 0 &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

int sys_raise_fd(int fd)
{
    int high = -EINVAL;
    for (int from = HIGH; high < 0 && from >= HIGH_ENOUGH; from /= 2)
        high = (int)SYS_CALL(SYS_fcntl, fd, F_DUPFD_CLOEXEC, from);
    if (high < 0)
        return high;
    long flags = SYS_CALL(SYS_fcntl, fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) != 0)
        sys_close(fd);
    else if (is_same_file(fd, high)) { /* the program's by then, perhaps */
        sys_close(high);
        return -EAGAIN;
    }
    return high;
}

int sys_opened(int fd)
{
    int high = fd < 0 ? fd : sys_raise_fd(fd);
    return high >= 0 || high == -EAGAIN ? high : fd;
}

static int open_low(const char *path, int flags)
{
    return (int)SYS_RETRY(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

/* Opens at a high number; -errno: *ret_low is open if it is no error itself. -EAGAIN twice in a row
 * is not a program that puts files of its own there, but a kernel that does not keep the flag: qemu
 * makes up some files of /proc. */
static int open_high(const char *path, int flags, int *ret_low)
{
    int first = open_low(path, flags), high = first < 0 ? first : sys_raise_fd(first);
    *ret_low = first;
    if (high != -EAGAIN)
        return high;
    *ret_low = open_low(path, flags);
    high = *ret_low < 0 ? *ret_low : sys_raise_fd(*ret_low);
    if (high == -EAGAIN)
        sys_close(first);
    return high;
}

int sys_open(const char *path, int flags)
{
    int low, high = open_high(path, flags, &low);
    return high < 0 ? low : high;
}

int sys_file_adopt_high(struct sys_file *file, int fd)
{
    int high = sys_raise_fd(fd);
    if (high == -EAGAIN)
        return high;
    int rc = high < 0 ? -EMFILE : sys_file_adopt(file, high);
    if (rc < 0)
        sys_close(high < 0 ? fd : high);
    return rc;
}

int sys_file_open(struct sys_file *file, const char *path, int flags)
{
    int low, high = open_high(path, flags, &low);
    if (high >= 0) {
        int rc = sys_file_adopt(file, high);
        if (rc < 0)
            sys_close(high);
        return rc;
    }
    if (low < 0)
        return low;
    sys_close(low);
    return -EMFILE;
}

int sys_file_eventfd(struct sys_file *file)
{
    int fd = (int)SYS_CALL(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = fd < 0 ? fd : (int)SYS_CALL(SYS_fcntl, fd, F_SETSIG, MARK);
    if (fd >= 0 && rc < 0)
        sys_close(fd);
    if (rc == 0)
        rc = sys_file_adopt_high(file, fd);
    if (rc == 0)
        file->marked = true;
    return rc;
}

long sys_file_read(struct sys_file *file, const char *path, char *buf, size_t len)
{
    if (sys_file_is_ours(file)) {
        long got = read_start(file->fd_plus_1 - 1, buf, len);
        if (got >= 0)
            return got;
        sys_file_close(file); /* ENODEV: the cgroup behind it was removed */
    }
    int rc = sys_file_open(file, path, O_RDONLY | O_NONBLOCK);
    if (rc == -EMFILE)
        return sys_read_file(path, buf, len); /* there may be one left to read by, not to hold */
    return rc < 0 ? rc : read_start(file->fd_plus_1 - 1, buf, len);
}

void sys_file_close(struct sys_file *file)
{
    if (sys_file_is_ours(file))
        sys_close(file->fd_plus_1 - 1);
    *file = (struct sys_file){0};
}
