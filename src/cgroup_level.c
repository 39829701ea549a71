/* A level of a cgroup: the way up from it, its files, and whether it is gone. */
#include "cgroup_internal.h"
#include "fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

bool cgroup_level_up(const struct cgroup_dir *dir, size_t *path_len)
{
    size_t len = *path_len;
    if (len <= dir->mount_len)
        return false;
    do
        len--;
    while (len > dir->mount_len && dir->path[len] != '/');
    *path_len = len;
    return true;
}

int cgroup_level_file(const char *root, const struct cgroup_dir *dir, size_t path_len,
                      const char *name, char *buf, size_t len)
{
    struct fmt f = {.buf = buf, .cap = len};
    if (strlen(root) + path_len + 1 + strlen(name) >= len)
        return -ENAMETOOLONG;
    fmt_str(&f, root);
    fmt_strn(&f, dir->path, path_len);
    fmt_str(&f, "/");
    fmt_str(&f, name);
    return 0;
}

int level_read(const char *root, const struct cgroup_dir *dir, size_t path_len, const char *name,
               char *buf, size_t len)
{
    char path[CGROUP_PATH_MAX];
    int rc = cgroup_level_file(root, dir, path_len, name, path, sizeof(path));
    int fd = rc < 0 ? rc : sys_open(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return fd;
    long got = line_read(fd, buf, len - 1);
    sys_close(fd);
    buf[got > 0 ? got : 0] = '\0';
    return got < 0 ? (int)got : 0;
}

int level_read_file(const char *root, const struct cgroup_dir *dir, size_t path_len,
                    const char *name, struct sys_file *file, char *buf, size_t len)
{
    char path[CGROUP_PATH_MAX];
    int rc = cgroup_level_file(root, dir, path_len, name, path, sizeof(path));
    if (rc < 0)
        return rc;
    long got = file != NULL ? sys_file_read(file, path, buf, len) : sys_read_file(path, buf, len);
    return got < 0 ? (int)got : 0;
}

/* A missing file does not tell: controllers need not be enabled here, and the hierarchy's root has
 * no limits. Not inline, as its path would stay on the caller's stack. */
static PLIM_COLD bool own_is_missing(const char *root, const struct cgroup_dir *dir)
{
    char path[CGROUP_PATH_MAX];
    if (cgroup_level_file(root, dir, strlen(dir->path), "", path, sizeof(path)) < 0)
        return true;
    int fd = sys_open(path, O_RDONLY | O_DIRECTORY);
    if (fd >= 0)
        sys_close(fd);
    return fd == -ENOENT;
}

int level_gone(const char *root, const struct cgroup_dir *dir, size_t path_len, int rc)
{
    if (sys_error_passes(rc) || rc == -ENODEV)
        return rc;
    return rc == -ENOENT && dir->path[path_len] == '\0' && own_is_missing(root, dir) ? rc : 0;
}
