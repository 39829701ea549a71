/* The seam to the kernel: files that other processes see too, see sys.h. */
#include "sys_internal.h"

#include <fcntl.h>
#include <linux/major.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int sys_create(const char *path)
{
    int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    return sys_opened((int)SYS_RETRY(SYS_openat, AT_FDCWD, path, flags, 0600));
}

/* For filesystems without fallocate: writing reserves the blocks. */
static int write_zeros(int fd, size_t len)
{
    static const char zeros[4096];
    for (size_t at = 0; at < len;) {
        size_t left = len - at;
        size_t part = left < sizeof(zeros) ? left : sizeof(zeros);
        long n = SYS_RETRY(SYS_pwrite64, fd, zeros, part, at);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        at += (size_t)n;
    }
    return 0;
}

int sys_reserve(int fd, size_t len)
{
    struct rlimit most = {0};
    if (SYS_CALL(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &most) != 0 || most.rlim_cur < len)
        return -EFBIG;
    int rc = (int)SYS_RETRY(SYS_fallocate, fd, 0, 0L, len);
    return rc == -EOPNOTSUPP || rc == -ENOSYS ? write_zeros(fd, len) : rc;
}

/* The number names our file before and after, so it did in between. */
void *sys_map_file(const struct sys_file *file, size_t len)
{
    if (!sys_file_is_ours(file))
        return NULL;
    int fd = file->fd_plus_1 - 1;
    long p = SYS_CALL(SYS_mmap, NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
    if (p < 0 && p > -4096)
        return NULL;
    if (sys_file_is_ours(file))
        return (void *)p;
    sys_unmap((void *)p, len);
    return NULL;
}

static bool may_grow(int fd, size_t len)
{
    struct rlimit most = {0};
    struct stat st;
    return SYS_CALL(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &most) == 0 &&
           SYS_CALL(SYS_fstat, fd, &st) == 0 &&
           (most.rlim_cur == RLIM_INFINITY || (uint64_t)st.st_size + len <= most.rlim_cur);
}

int sys_file_append(const struct sys_file *file, const void *buf, size_t len)
{
    int fd = file->fd_plus_1 - 1;
    if (!sys_file_is_ours(file))
        return -EBADF;
    if (!may_grow(fd, len))
        return -EFBIG;
    for (size_t done = 0; done < len;) {
        long n = sys_write(fd, (const char *)buf + done, len - done);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        done += (size_t)n;
    }
    return 0;
}

int sys_may_write(const char *dir)
{
    int fd = sys_open(dir, O_RDONLY | O_DIRECTORY | O_PATH);
    if (fd < 0)
        return fd;
    sys_close(fd);
    return (int)SYS_CALL(SYS_faccessat, AT_FDCWD, dir, W_OK | X_OK);
}

int sys_unlink(const char *path)
{
    return sys_unlink_at(AT_FDCWD, path);
}

int sys_open_at(int dir, const char *name, int flags)
{
    return sys_opened((int)SYS_RETRY(SYS_openat, dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0));
}

int sys_unlink_at(int dir, const char *name)
{
    return (int)SYS_CALL(SYS_unlinkat, dir, name, 0);
}

int sys_owner_at(int dir, const char *name, uint32_t *ret_uid)
{
    struct stat st;
    int rc = (int)SYS_CALL(SYS_newfstatat, dir, name, &st, AT_SYMLINK_NOFOLLOW);
    if (rc < 0)
        return rc;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    *ret_uid = st.st_uid;
    return 0;
}

int sys_owner(int fd, uint32_t *ret_uid)
{
    struct stat st;
    int rc = (int)SYS_CALL(SYS_fstat, fd, &st);
    if (rc == 0)
        *ret_uid = st.st_uid;
    return rc;
}

uint64_t sys_written_at(int dir, const char *name)
{
    struct stat st;
    if (SYS_CALL(SYS_newfstatat, dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_mtim.tv_sec < 0)
        return 0;
    return (uint64_t)st.st_mtim.tv_sec * NS_PER_S + (uint64_t)st.st_mtim.tv_nsec;
}

uint64_t sys_inode(const char *path)
{
    struct stat st;
    return SYS_CALL(SYS_newfstatat, AT_FDCWD, path, &st, 0) < 0 ? 0 : (uint64_t)st.st_ino;
}

static bool is_terminal(const struct stat *st)
{
    const unsigned number = major(st->st_rdev);
    return S_ISCHR(st->st_mode) && (number == TTY_MAJOR || number == TTYAUX_MAJOR ||
                                    (number >= UNIX98_PTY_SLAVE_MAJOR &&
                                     number < UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT));
}

/* Data files and connections are open for reading as well; nobody reads from where lines go. Makes
 * only system calls that filters allow (not isatty's, nor one for a socket's family). */
bool sys_takes_lines(int fd, const struct sys_file *known)
{
    struct stat st;
    long flags = SYS_CALL(SYS_fcntl, fd, F_GETFL);
    if (flags < 0)
        return false;
    if ((flags & O_ACCMODE) == O_WRONLY || (flags & O_APPEND) != 0)
        return true;
    if (SYS_CALL(SYS_fstat, fd, &st) != 0)
        return false;
    bool same = known->fd_plus_1 != 0 && (uint64_t)st.st_dev == known->dev &&
                (uint64_t)st.st_ino == known->ino;
    return same || S_ISFIFO(st.st_mode) || is_terminal(&st);
}

uint32_t sys_pid(void)
{
    return (uint32_t)SYS_CALL(SYS_getpid);
}

uint32_t sys_euid(void)
{
    return (uint32_t)SYS_CALL(SYS_geteuid);
}

int sys_one_user(uint32_t *ret_uid)
{
    uint32_t real = 0, effective = 0, saved = 0;
    if (SYS_CALL(SYS_getresuid, &real, &effective, &saved) != 0 || real != effective ||
        saved != effective)
        return -EPERM;
    *ret_uid = real;
    return 0;
}

bool sys_process_exists(uint32_t pid)
{
    return pid > 0 && pid <= INT32_MAX && SYS_CALL(SYS_kill, pid, 0) != -ESRCH;
}
