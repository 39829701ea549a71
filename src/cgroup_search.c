/*
 * The search for a cgroup whose name no file tells: under rootless podman and the like the mount
 * shows the host's tree from its root, while all names in /proc/self start at the namespace root
 * somewhere below. Only cgroup.procs says where we are.
 */
#include "cgroup_internal.h"
#include "fmt.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

struct search {
    struct resolution *res;
    struct fmt path;    /* root + directory, in res->file */
    unsigned dirs_left; /* that may be opened: a huge tree must not hold up the program */
};

static void path_cut(struct fmt *path, size_t len)
{
    path->len = len;
    path->buf[len] = '\0';
}

/* Appends; false and nothing appended where it would be cut short. */
static bool path_add(struct fmt *path, const char *text)
{
    size_t before = path->len;
    fmt_str(path, text);
    if (path->len - before == strlen(text))
        return true;
    path_cut(path, before);
    return false;
}

static bool lists_pid(struct search *s, const char *name)
{
    struct resolution *res = s->res;
    struct lines lines;
    struct span line;
    uint64_t pid;
    bool found = false;
    size_t before = s->path.len;
    if (!path_add(&s->path, name))
        return false;
    int rc = lines_open(&lines, res->file, res->text, sizeof(res->text));
    resolution_note(res, rc);
    if (rc == 0) {
        while (!found && lines_next(&lines, &line))
            found = span_number(line, &pid) && pid == (uint64_t)res->pid;
        resolution_note(res, lines.error);
        lines_close(&lines);
    }
    path_cut(&s->path, before);
    return found;
}

/* Whether we are in the directory that path names plus the known part below; path is left there if
 * so. */
static bool is_ours(struct search *s)
{
    size_t before = s->path.len;
    if (!path_add(&s->path, s->res->place.below))
        return false;
    /* A threaded cgroup refuses to list processes. */
    if (lists_pid(s, "/cgroup.procs") || lists_pid(s, "/cgroup.threads"))
        return true;
    path_cut(&s->path, before);
    return false;
}

/* Only "." and ".." are left out: cgroups' names may begin with a dot. */
static bool is_child(const struct dirent64 *entry)
{
    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
        return false;
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static bool search_below(struct search *s, unsigned depth);

static bool search_entry(struct search *s, const struct dirent64 *entry, unsigned depth)
{
    if (!is_child(entry))
        return false;
    size_t before = s->path.len;
    if (path_add(&s->path, "/") && path_add(&s->path, entry->d_name) && search_below(s, depth - 1))
        return true;
    path_cut(&s->path, before);
    return false;
}

/* Depth first; on success path names the directory. Recurses at most SEARCH_DEPTH_MAX deep. */
static bool search_below(struct search *s, unsigned depth)
{
    if (depth == 0)
        return is_ours(s);
    if (s->dirs_left == 0)
        return false;
    s->dirs_left--;
    struct sys_dir dir;
    const struct dirent64 *entry;
    bool found = false;
    resolution_note(s->res, sys_dir_open(&dir, s->res->file, s->res->dents[depth - 1],
                                         sizeof(s->res->dents[0])));
    while (!found && (entry = sys_dir_next(&dir)) != NULL)
        found = search_entry(s, entry, depth);
    resolution_note(s->res, dir.got);
    sys_dir_close(&dir);
    return found;
}

int search_by_pid(struct resolution *res, char *ret, size_t len)
{
    struct search s = {.res = res, .path = FMT_INIT(res->file), .dirs_left = SEARCH_DIRS_MAX};
    if (res->pid <= 0 || res->place.depth > SEARCH_DEPTH_MAX)
        return -ENOENT;
    if (!path_add(&s.path, res->root) || !path_add(&s.path, res->point))
        return -ENAMETOOLONG;
    if (!search_below(&s, res->place.depth))
        return -ENOENT;
    size_t root_len = strlen(res->root);
    if (s.path.len - root_len >= len)
        return -ENAMETOOLONG;
    memcpy(ret, res->file + root_len, s.path.len - root_len + 1);
    return 0;
}
