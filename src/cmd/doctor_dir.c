/* plimsoll doctor: a directory, seen with the rights of another process. */
#include "doctor.h"
#include "rights.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRIES_MAX = 100 };

/* The root directory that the process sees, or -errno; pid 0: ours. */
static int open_root(int pid)
{
    char path[64] = "/";
    if (pid > 0)
        (void)snprintf(path, sizeof(path), "/proc/%d/root", pid);
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/*
 * Opens an absolute path below that root, or -errno. Absolute symbolic links in it are followed
 * from that root too. Only where that is not possible from our own: older kernels and seccomp
 * filters do not know openat2, and it does not follow the links of /proc.
 */
static int open_dir(int root, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    char below[OPTION_PATH_MAX + 1];
    int fd = -1;
    (void)snprintf(below, sizeof(below), ".%s", path);
    errno = EAGAIN; /* as when directories were moved meanwhile */
    for (int i = 0; i < TRIES_MAX && fd < 0 && errno == EAGAIN; i++)
        fd = (int)syscall(SYS_openat2, root, below, &how, sizeof(how));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EXDEV))
        fd = openat(root, below, (int)how.flags);
    return fd < 0 ? -errno : fd;
}

static uint64_t free_space(int root, const char *path)
{
    uint64_t bytes = UNLIMITED;
    struct statvfs fs;
    int dir = open_dir(root, path);
    if (dir < 0)
        return bytes;
    if (fstatvfs(dir, &fs) == 0 && fs.f_blocks > 0) /* some file systems have no size */
        bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    (void)close(dir);
    return bytes;
}

/* Walks down to it: each directory above must let us through. */
static int may_write(int root, const char *path)
{
    int dir = open_dir(root, path);
    if (dir < 0)
        return dir;
    int rc = faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) == 0 ? 0 : -errno;
    (void)close(dir);
    return rc;
}

/* Checked in a child of ours that takes on the rights of the process. */
static int may_write_as(int root, const char *path, const struct rights *rights)
{
    int status;
    pid_t child = fork();
    if (child < 0)
        return -errno;
    if (child == 0) {
        if (setgroups(rights->group_count, rights->groups) < 0 ||
            setresgid(rights->group, rights->group, rights->group) < 0 ||
            setresuid(rights->user, rights->user, rights->user) < 0)
            _exit(0); /* not known: no complaint */
        _exit(-may_write(root, path));
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 0;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : 0;
}

void doctor_gather_dir(int pid, const char *path, struct doctor_dir *ret)
{
    struct rights rights;
    *ret = (struct doctor_dir){.free = UNLIMITED};
    (void)snprintf(ret->path, sizeof(ret->path), "%s", path);
    int root = open_root(pid);
    if (root < 0) {
        ret->rc = root;
        ret->untold = root == -EACCES || root == -EPERM;
        return;
    }
    ret->free = free_space(root, path);
    if (pid > 0 && geteuid() == 0 && rights_read((uint64_t)pid, &rights) == 0)
        ret->rc = may_write_as(root, path, &rights);
    else
        ret->rc = may_write(root, path);
    (void)close(root);
}
