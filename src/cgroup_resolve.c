/*
 * Finds one directory per controller by /proc/self/cgroup and the mounts.
 *
 * The version is decided for each controller separately: on hybrid systems they differ, and a mount
 * of either version does not prove that it holds the controller.
 */
#include "cgroup_internal.h"
#include "fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

const char *const controller_names[CONTROLLER_COUNT] = {"memory", "cpu"};

const char *resolution_file(struct resolution *res, const char *dir, const char *name)
{
    struct fmt f = FMT_INIT(res->file);
    fmt_str(&f, res->root);
    fmt_str(&f, dir);
    fmt_str(&f, name);
    return f.len + 1 < sizeof(res->file) ? res->file : NULL;
}

void resolution_note(struct resolution *res, long rc)
{
    if (res->error == 0 && sys_error_passes(rc))
        res->error = (int)rc;
}

/* Whether there is such a directory or file; true where only the rights to look are missing. */
static bool exists(struct resolution *res, const char *dir, const char *name)
{
    const char *file = resolution_file(res, dir, name);
    int fd = file != NULL ? sys_open(file, O_RDONLY | O_NONBLOCK) : -ENAMETOOLONG;
    resolution_note(res, fd);
    if (fd >= 0)
        sys_close(fd);
    return fd != -ENOENT && fd != -ENOTDIR;
}

static void membership_set(struct membership *own, int version, struct span path)
{
    if (path.len > 0 && path.at[path.len - 1] == '\r')
        path.len--;
    own->version = version;
    if (path.len > 0 && path.at[0] == '/' && path.len < sizeof(own->path)) {
        memcpy(own->path, path.at, path.len);
        own->path[path.len] = '\0';
    }
}

/* "hierarchy:controllers:path"; the path may hold colons. */
static bool membership_line(struct resolution *res, struct span line)
{
    uint64_t hierarchy;
    if (memchr(line.at, ':', line.len) == NULL || !span_number(span_cut(&line, ':'), &hierarchy))
        return false;
    if (memchr(line.at, ':', line.len) == NULL)
        return false;
    struct span list = span_cut(&line, ':');
    for (unsigned c = 0; c < CONTROLLER_COUNT; c++) {
        struct membership *own = &res->own[c];
        if (span_lists(list, controller_names[c]))
            membership_set(own, 1, line);
        else if (hierarchy == 0 && list.len == 0 && own->version == 0)
            membership_set(own, 2, line);
    }
    return true;
}

static void read_membership(struct resolution *res, const char *proc_cgroup)
{
    struct lines lines;
    struct span line;
    const char *file = resolution_file(res, "", proc_cgroup);
    int rc = file == NULL ? -ENAMETOOLONG
                          : lines_open(&lines, file, res->mount_text, sizeof(res->mount_text));
    resolution_note(res, rc);
    if (rc < 0)
        return;
    while (lines_next(&lines, &line))
        res->listed |= membership_line(res, line);
    resolution_note(res, lines.error);
    lines_close(&lines);
}

/* Where distributions mount them; the existence of `file` proves what it is. */
static const struct usual_mount {
    enum controller controller;
    int version;
    const char *point, *file;
} usual_mounts[] = {
    {CONTROLLER_MEMORY, 2, "/sys/fs/cgroup", "/memory.max"},
    {CONTROLLER_MEMORY, 1, "/sys/fs/cgroup/memory", "/memory.limit_in_bytes"},
    {CONTROLLER_MEMORY, 1, "/cgroup/memory", "/memory.limit_in_bytes"},
    {CONTROLLER_MEMORY, 2, "/sys/fs/cgroup", "/cgroup.controllers"},
    {CONTROLLER_MEMORY, 2, "/sys/fs/cgroup/unified", "/cgroup.controllers"},
    {CONTROLLER_CPU, 2, "/sys/fs/cgroup", "/cpu.max"},
    {CONTROLLER_CPU, 1, "/sys/fs/cgroup/cpu", "/cpu.cfs_quota_us"},
    {CONTROLLER_CPU, 1, "/sys/fs/cgroup/cpu,cpuacct", "/cpu.cfs_quota_us"},
    {CONTROLLER_CPU, 1, "/sys/fs/cgroup/cpuacct,cpu", "/cpu.cfs_quota_us"},
    {CONTROLLER_CPU, 1, "/cgroup/cpu", "/cpu.cfs_quota_us"},
    {CONTROLLER_CPU, 2, "/sys/fs/cgroup", "/cgroup.controllers"},
    {CONTROLLER_CPU, 2, "/sys/fs/cgroup/unified", "/cgroup.controllers"},
};

/* The usual mount point of that version (0: of any) that has its file, or at least exists. */
static const struct usual_mount *usual_mount(struct resolution *res, enum controller controller,
                                             int version, bool with_file)
{
    for (unsigned i = 0; i < ARRAY_LEN(usual_mounts); i++) {
        const struct usual_mount *usual = &usual_mounts[i];
        if (usual->controller == controller && (version == 0 || version == usual->version) &&
            exists(res, usual->point, with_file ? usual->file : ""))
            return usual;
    }
    return NULL;
}

/* Without mountinfo. A directory alone proves a mount only where the version is known. */
static int guess_mount(struct resolution *res, enum controller controller, int *version)
{
    const struct usual_mount *usual = usual_mount(res, controller, *version, true);
    if (usual == NULL && *version != 0)
        usual = usual_mount(res, controller, *version, false);
    if (usual == NULL)
        return -ENOENT;
    *version = usual->version;
    res->place = place_relate("", res->own[controller].path);
    strcpy(res->point, usual->point);
    return 0;
}

static int find_mount(struct resolution *res, enum controller controller, int *version)
{
    const char *path = res->own[controller].path;
    if (!res->mounts_known)
        return guess_mount(res, controller, version);
    if (*version != 0)
        return mounts_find(res, controller, *version, path);
    for (int v = 1; v <= 2; v++) {
        if (mounts_find(res, controller, v, path) == 0) {
            *version = v;
            return 0;
        }
    }
    return -ENOENT;
}

/* point + below in dir->path; false if it is too long. */
static bool set_path(struct cgroup_dir *dir, const char *point, const char *below)
{
    struct fmt f = FMT_INIT(dir->path);
    fmt_str(&f, point);
    dir->mount_len = f.len;
    fmt_str(&f, below);
    if (f.len == 0) { /* mounted at / itself */
        fmt_str(&f, "/");
        dir->mount_len = 1;
    }
    return f.len + 1 < sizeof(dir->path);
}

/* Where the tree shows only an ancestor of the cgroup, that one still binds it. */
static void settle(struct resolution *res, struct cgroup_dir *dir)
{
    size_t len = strlen(dir->path);
    while (!exists(res, dir->path, "")) {
        if (!cgroup_level_up(dir, &len)) {
            dir->confidence = CGROUP_NONE;
            dir->path[0] = '\0';
            dir->mount_len = 0;
            return;
        }
        dir->confidence = CGROUP_FALLBACK;
        dir->path[len] = '\0';
        if (len == 0) {
            set_path(dir, "", "");
            len = dir->mount_len;
        }
    }
}

static void resolve_controller(struct resolution *res, enum controller controller,
                               struct cgroup_dir *ret)
{
    const struct membership *own = &res->own[controller];
    ret->version = own->version;
    if (own->version == 0 && res->listed)
        return;
    if (find_mount(res, controller, &ret->version) < 0)
        return;
    bool fits = set_path(ret, res->point, res->place.below);
    ret->confidence =
        fits && res->mounts_known && own->path[0] != '\0' ? CGROUP_EXACT : CGROUP_FALLBACK;
    bool found = res->place.relation == RELATION_INSIDE;
    if (res->place.relation == RELATION_DEEPER)
        found = search_by_pid(res, ret->path, sizeof(ret->path)) == 0;
    if (!found || !fits) {
        set_path(ret, res->point, "");
        ret->confidence = CGROUP_FALLBACK;
    }
    settle(res, ret);
}

static bool same_membership(const struct resolution *res)
{
    const struct membership *memory = &res->own[CONTROLLER_MEMORY];
    const struct membership *cpu = &res->own[CONTROLLER_CPU];
    return memory->version == 2 && cpu->version == 2 && strcmp(memory->path, cpu->path) == 0;
}

static void dir_clear(struct cgroup_dir *dir)
{
    dir->version = 0;
    dir->confidence = CGROUP_NONE;
    dir->mount_len = 0;
    dir->path[0] = '\0';
}

/* proc_cgroup: which process's membership to read, below root. */
static int resolve(const char *root, const char *proc_cgroup, int pid, struct cgroup *ret)
{
    dir_clear(&ret->memory);
    dir_clear(&ret->cpu);
    struct resolution *res = sys_map(NULL, sizeof(*res), 1);
    if (res == NULL)
        return -ENOMEM;
    res->root = root;
    res->pid = pid;
    read_membership(res, proc_cgroup);
    mounts_open(res);
    resolve_controller(res, CONTROLLER_MEMORY, &ret->memory);
    if (same_membership(res))
        ret->cpu = ret->memory;
    else
        resolve_controller(res, CONTROLLER_CPU, &ret->cpu);
    if (res->mounts_known)
        lines_close(&res->mounts);
    resolution_note(res, res->mounts.error);
    int rc = res->error;
    sys_unmap(res, sizeof(*res));
    if (rc < 0)
        return rc;
    return ret->memory.path[0] != '\0' || ret->cpu.path[0] != '\0' ? 0 : -ENOENT;
}

int cgroup_resolve(const char *root, int pid, struct cgroup *ret)
{
    return resolve(root, "/proc/self/cgroup", pid, ret);
}

int cgroup_resolve_process(int pid, struct cgroup *ret)
{
    char proc_cgroup[48];
    struct fmt f = FMT_INIT(proc_cgroup);
    fmt_str(&f, "/proc/");
    fmt_i64(&f, pid);
    fmt_str(&f, "/cgroup");
    return resolve("", proc_cgroup, pid, ret);
}
