/* Who has a stats page mapped, and where: by /proc/PID/maps, see stats_pages.h. */
#include "stats_pages_internal.h"

#include "../sys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The page in a line of /proc/PID/maps, cut into directory and name. */
static bool take_line(char *line, uint64_t pid, char **ret_dir, struct page_name *ret)
{
    char *path = strchr(line, '/');
    char *last = path != NULL ? strrchr(path, '/') : NULL;
    if (last == NULL)
        return false;
    *last = '\0';
    last[1 + strcspn(last + 1, "\n")] = '\0';
    *ret_dir = path;
    return page_name_parse(last + 1, ret) && ret->pid == pid;
}

static FILE *open_maps(uint64_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/maps", pid);
    return fopen(path, "re");
}

/* The root of the paths in its maps: "" where it has the same mounts as we, as the kernel then
 * names paths from our root on, even for a process that has called chroot. */
static void root_of(uint64_t pid, char *root, size_t size)
{
    char mounts[64];
    (void)snprintf(mounts, sizeof(mounts), "/proc/%" PRIu64 "/ns/mnt", pid);
    (void)snprintf(root, size, "/proc/%" PRIu64 "/root", pid);
    if (sys_inode(mounts) == sys_inode("/proc/self/ns/mnt"))
        root[0] = '\0';
}

/* Links in a container's directories are followed as inside the container. A descriptor, or
 * -errno. */
static int open_below(const char *root, const char *dir)
{
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int top = open(root[0] != '\0' ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (top < 0)
        return -errno;
    long fd = syscall(SYS_openat2, top, dir[0] != '\0' ? dir : "/", &how, sizeof(how));
    int rc = fd < 0 ? -errno : (int)fd;
    (void)close(top);
    return rc;
}

static int read_in(const char *root, const char *path, const struct page_name *name,
                   struct process *ret)
{
    char text[PAGE_NAME_MAX];
    int dir = open_below(root, path);
    if (dir < 0)
        return dir;
    int rc = process_read(dir, name, false, ret);
    (void)close(dir);
    if (rc < 0)
        return rc;
    page_name_print(name, text);
    if (ret->life == PAGE_LIVES && asprintf(&ret->path, "%s%s/%s", root, path, text) > 0)
        return 0;
    ret->path = NULL;
    process_free(ret);
    return -ENOENT;
}

int process_read_mapped(uint64_t pid, struct process *ret)
{
    char root[64], line[PATH_MAX + 100], *dir;
    struct page_name name;
    int rc = -ENOENT;
    FILE *maps = open_maps(pid);
    if (maps == NULL)
        return -errno;
    root_of(pid, root, sizeof(root));
    while (rc < 0 && fgets(line, sizeof(line), maps) != NULL) {
        if (!take_line(line, pid, &dir, &name))
            continue;
        rc = read_in(root, dir, &name, ret);
    }
    (void)fclose(maps);
    return rc;
}

bool process_page_mapped_by(const struct process *process, uint64_t by)
{
    char line[PATH_MAX + 100], *dir;
    struct page_name name;
    FILE *maps = open_maps(by);
    bool found = maps == NULL && sys_process_exists((uint32_t)by);
    while (maps != NULL && !found && fgets(line, sizeof(line), maps) != NULL)
        found = take_line(line, process->view.pid, &dir, &name) &&
                name.start_time == process->view.start_time;
    if (maps != NULL)
        (void)fclose(maps);
    return found;
}
