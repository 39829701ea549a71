/* plimsoll doctor: a directory, seen with the rights of another process. */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GROUPS_MAX = 64 };

struct rights {
    uid_t uid;
    gid_t gid;
    size_t group_count;
    gid_t groups[GROUPS_MAX];
};

/* The numbers behind "key:" in the text of /proc/PID/status; how many. */
static size_t numbers_of(const char *text, const char *key, unsigned *ret, size_t max)
{
    size_t count = 0;
    const char *at = strstr(text, key);
    if (at == NULL)
        return 0;
    at += strlen(key);
    while (count < max && *at != '\0' && *at != '\n') {
        char *end;
        ret[count] = (unsigned)strtoul(at, &end, 10);
        if (end == at)
            break;
        count++;
        at = end + strspn(end, " \t");
    }
    return count;
}

/* The effective ones. */
static int read_rights(int pid, struct rights *ret)
{
    char path[64], text[8192];
    unsigned ids[4];
    (void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
    long got = sys_read_file(path, text, sizeof(text));
    if (got < 0)
        return (int)got;
    if (numbers_of(text, "\nUid:", ids, 4) < 2)
        return -EINVAL;
    ret->uid = ids[1];
    if (numbers_of(text, "\nGid:", ids, 4) < 2)
        return -EINVAL;
    ret->gid = ids[1];
    ret->group_count = numbers_of(text, "\nGroups:", ret->groups, GROUPS_MAX);
    return 0;
}

/* Its root may be followed only with its rights. */
static bool is_closed_to_us(int pid)
{
    char root[64];
    (void)snprintf(root, sizeof(root), "/proc/%d/root", pid);
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool closed = fd < 0 && (errno == EACCES || errno == EPERM);
    if (fd >= 0)
        (void)close(fd);
    return closed;
}

static int may_write(int dir)
{
    return faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) == 0 ? 0 : -errno;
}

/* In a child of ours, which takes on the rights of the process. */
static int may_write_as(int dir, const struct rights *rights)
{
    int status;
    pid_t child = fork();
    if (child < 0)
        return -errno;
    if (child == 0) {
        if (setgroups(rights->group_count, rights->groups) < 0 ||
            setresgid(rights->gid, rights->gid, rights->gid) < 0 ||
            setresuid(rights->uid, rights->uid, rights->uid) < 0)
            _exit(0); /* who knows: no complaint */
        _exit(-may_write(dir));
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 0;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : 0;
}

void doctor_gather_dir(int pid, const char *path, struct doctor_dir *ret)
{
    char full[OPTION_PATH_MAX + 64];
    struct statvfs fs;
    struct rights rights;
    *ret = (struct doctor_dir){.free = UNLIMITED};
    (void)snprintf(ret->path, sizeof(ret->path), "%s", path);
    if (pid > 0)
        (void)snprintf(full, sizeof(full), "/proc/%d/root%s", pid, path);
    else
        (void)snprintf(full, sizeof(full), "%s", path);
    int dir = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        ret->rc = -errno;
        ret->untold = pid > 0 && is_closed_to_us(pid);
        return;
    }
    if (fstatvfs(dir, &fs) == 0 && fs.f_blocks > 0) /* some have no size of their own */
        ret->free = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (pid > 0 && geteuid() == 0 && read_rights(pid, &rights) == 0)
        ret->rc = may_write_as(dir, &rights);
    else
        ret->rc = may_write(dir);
    (void)close(dir);
}
