/* cgroup directories as files, see cgroupfs.h. */
#include "cgroupfs.h"

#include "../fmt.h"
#include "../sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_MAX = 100 };

static int path_of(const char *dir, const char *name, char *path, size_t len)
{
    int n = snprintf(path, len, "%s/%s", dir, name);
    return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

int cgroupfs_read(const char *dir, const char *name, char *buf, size_t len)
{
    char path[PATH_MAX];
    int rc = path_of(dir, name, path, sizeof(path));
    if (rc < 0)
        return rc;
    long got = sys_read_file(path, buf, len);
    if (got < 0)
        return (int)got;
    if (got > 0 && buf[got - 1] == '\n')
        buf[got - 1] = '\0';
    return 0;
}

int cgroupfs_write(const char *dir, const char *name, const char *text)
{
    char path[PATH_MAX];
    int rc = path_of(dir, name, path, sizeof(path));
    if (rc < 0)
        return rc;
    int fd = sys_open(path, O_WRONLY);
    if (fd < 0)
        return fd;
    long wrote = sys_write(fd, text, strlen(text));
    (void)sys_close(fd);
    return wrote < 0 ? (int)wrote : 0;
}

int cgroupfs_read_u64(const char *dir, const char *name, const char *key, uint64_t *ret)
{
    char text[8192];
    int rc = cgroupfs_read(dir, name, text, sizeof(text));
    if (rc < 0)
        return rc;
    if (key == NULL)
        return fmt_parse_u64(text, NULL, ret);
    return fmt_scan_keys(text, &key, ret, 1) != 0 ? 0 : -ENOENT;
}

bool cgroupfs_has_word(const char *dir, const char *name, const char *word)
{
    char text[1024];
    size_t len = strlen(word);
    if (cgroupfs_read(dir, name, text, sizeof(text)) < 0)
        return false;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += len)
        if ((at == text || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

int cgroupfs_each_process(const char *dir, cgroupfs_process_fn *fn, void *arg)
{
    char path[PATH_MAX];
    int rc = path_of(dir, "cgroup.procs", path, sizeof(path));
    if (rc < 0)
        return rc;
    FILE *procs = fopen(path, "re");
    if (procs == NULL)
        return -errno;
    int pid, count = 0;
    for (; rc >= 0 && fscanf(procs, "%d", &pid) == 1; count++)
        rc = fn(pid, arg);
    (void)fclose(procs);
    return rc < 0 ? rc : count;
}

int cgroupfs_each_child(const char *dir, cgroupfs_child_fn *fn, void *arg)
{
    char child[PATH_MAX];
    DIR *list = opendir(dir);
    if (list == NULL)
        return -errno;
    int rc = 0, count = 0;
    struct dirent *entry;
    while (rc >= 0 && (entry = readdir(list)) != NULL) {
        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0)
            continue;
        rc = path_of(dir, entry->d_name, child, sizeof(child));
        if (rc == 0)
            rc = fn(child, arg);
        count++;
    }
    (void)closedir(list);
    return rc < 0 ? rc : count;
}

int cgroupfs_make_new(char *path, size_t len)
{
    size_t base = strlen(path);
    for (int n = 2; mkdir(path, 0755) < 0; n++) {
        if (errno != EEXIST || n > NAMES_MAX)
            return -errno;
        int more = snprintf(path + base, len - base, "_%d", n);
        if (more < 0 || (size_t)more >= len - base)
            return -ENAMETOOLONG;
    }
    return 0;
}

static int kill_process(pid_t pid, void *arg)
{
    (void)arg;
    /* 0 would be our own process group. */
    if (pid > 1 && pid != getpid())
        (void)kill(pid, SIGKILL);
    return 0;
}

/* Calls fn for dir and all below it, as fts(3) orders them. It neither recurses nor needs whole
 * paths, as a program may have nested its cgroups as deep as it likes. The path that fn gets is
 * valid during the call. */
static int each_below(const char *dir, unsigned short order, cgroupfs_child_fn *fn, void *arg)
{
    char *const roots[] = {(char *)(uintptr_t)dir, NULL};
    FTSENT *at;
    int rc = 0;
    FTS *walk = fts_open(roots, FTS_PHYSICAL, NULL);
    if (walk == NULL)
        return -errno;
    while (rc >= 0 && (at = fts_read(walk)) != NULL)
        if (at->fts_info == order && (order == FTS_D || at->fts_level > 0))
            rc = fn(at->fts_accpath, arg);
    (void)fts_close(walk);
    return rc;
}

static int kill_here(const char *dir, void *count)
{
    int killed = cgroupfs_each_process(dir, kill_process, NULL);
    if (killed > 0)
        *(int *)count += killed;
    return 0;
}

int cgroupfs_kill(const char *dir)
{
    int count = 0;
    (void)cgroupfs_write(dir, "cgroup.kill", "1"); /* v2 since 5.14: no fork escapes it */
    int rc = each_below(dir, FTS_D, kill_here, &count);
    return rc < 0 ? rc : count;
}

static int remove_it(const char *dir, void *arg)
{
    (void)arg;
    return rmdir(dir) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroupfs_remove_children(const char *dir)
{
    return each_below(dir, FTS_DP, remove_it, NULL);
}
