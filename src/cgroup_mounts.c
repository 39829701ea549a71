/*
 * Which mount shows a controller's hierarchy, from /proc/self/mountinfo.
 *
 * The file may be long (thousands of mounts on a Kubernetes node) and is never held: the first
 * pass keeps the best candidate, the second those mounts that could hide it.
 */
#include "cgroup_internal.h"

#include <errno.h>
#include <string.h>

struct mount {
    uint64_t id, parent;
    struct span root, point; /* as written: octal escapes */
    struct span type, options;
};

/* "id parent dev root point options [optional...] - type source super-options" */
static bool mount_parse(struct span line, struct mount *ret)
{
    if (!span_number(span_cut(&line, ' '), &ret->id) ||
        !span_number(span_cut(&line, ' '), &ret->parent))
        return false;
    span_cut(&line, ' ');
    ret->root = span_cut(&line, ' ');
    ret->point = span_cut(&line, ' ');
    span_cut(&line, ' ');
    while (line.len > 0 && !span_is(span_cut(&line, ' '), "-"))
        ;
    ret->type = span_cut(&line, ' ');
    span_cut(&line, ' '); /* the source may be empty: two blanks in a row */
    ret->options = line;
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        ret->options.len--;
    return ret->type.len > 0 && ret->point.len > 0 && ret->point.at[0] == '/';
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* Undoes \ooo; "/" becomes "". */
static int path_decode(struct span s, char *buf, size_t len)
{
    size_t out = 0;
    while (s.len > 0) {
        size_t plain = span_cut(&(struct span){s.at, s.len}, '\\').len;
        if (out + plain + 1 >= len)
            return -ENAMETOOLONG;
        memcpy(buf + out, s.at, plain);
        out += plain;
        s.at += plain;
        s.len -= plain;
        if (s.len == 0)
            break;
        const char *c = s.at;
        bool octal = s.len > 3 && is_octal(c[1]) && is_octal(c[2]) && is_octal(c[3]);
        buf[out++] = octal ? (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + (c[3] - '0')) : *c;
        s.at += octal ? 4 : 1;
        s.len -= octal ? 4 : 1;
    }
    if (out == 1 && buf[0] == '/')
        out = 0;
    buf[out] = '\0';
    return 0;
}

/* Takes leading ".." components off a path and counts them. */
static unsigned climb(const char **path)
{
    unsigned count = 0;
    for (; strncmp(*path, "/..", 3) == 0 && ((*path)[3] == '/' || (*path)[3] == '\0'); *path += 3)
        count++;
    return count;
}

struct place place_relate(const char *root, const char *path)
{
    unsigned root_up = climb(&root);
    unsigned path_up = climb(&path);
    if (strcmp(path, "/") == 0)
        path = "";
    if (root_up == path_up && path_within(path, root))
        return (struct place){.relation = RELATION_INSIDE, .below = path + strlen(root)};
    if (root_up > path_up && *root == '\0')
        return (struct place){
            .relation = RELATION_DEEPER, .depth = root_up - path_up, .below = path};
    return (struct place){.relation = RELATION_OUTSIDE, .below = ""};
}

/* Ranks a mount: by relation, then the usual mount point, then how many of our ancestors it
 * shows. */
static unsigned place_worth(const struct place *place, const char *point)
{
    bool usual = path_within(point, "/sys/fs/cgroup");
    return (unsigned)place->relation << 20 | (unsigned)usual << 19 | (unsigned)strlen(place->below);
}

static bool shows(const struct mount *mount, enum controller controller, int version)
{
    if (version == 2)
        return span_is(mount->type, "cgroup2");
    return span_is(mount->type, "cgroup") &&
           span_lists(mount->options, controller_names[controller]);
}

enum { REJECTED_MAX = 32, ABOVE_MAX = 128 };

struct candidates {
    uint64_t id; /* of the best */
    unsigned rejected_count;
    uint64_t rejected[REJECTED_MAX];
};

static bool is_rejected(const struct candidates *c, uint64_t id)
{
    for (unsigned i = 0; i < c->rejected_count; i++) {
        if (c->rejected[i] == id)
            return true;
    }
    return false;
}

/* First pass: the best mount that was not rejected yet, in res->place. */
static bool find_best(struct resolution *res, enum controller controller, int version,
                      const char *path, struct candidates *c)
{
    bool found = false;
    unsigned best = 0;
    struct span line;
    struct mount mount;
    lines_rewind(&res->mounts);
    while (lines_next(&res->mounts, &line)) {
        if (!mount_parse(line, &mount) || !shows(&mount, controller, version) ||
            is_rejected(c, mount.id) ||
            path_decode(mount.root, res->line_root, sizeof(res->line_root)) < 0 ||
            path_decode(mount.point, res->line_point, sizeof(res->line_point)) < 0)
            continue;
        struct place place = place_relate(res->line_root, path);
        unsigned worth = place_worth(&place, res->line_point);
        /* Of mounts stacked on one point, the last is on top. */
        bool on_top = found && strcmp(res->point, res->line_point) == 0;
        if (!found || worth > best || (worth == best && on_top)) {
            found = true;
            best = worth;
            c->id = mount.id;
            res->place = place;
            strcpy(res->point, res->line_point);
        }
    }
    return found;
}

/* A mount on the way to the candidate's mount point. */
struct above {
    uint64_t id, parent;
    size_t len; /* of its mount point */
};

/* Second pass: mounts at the candidate's mount point or above it, in the file's order. */
static unsigned list_above(struct resolution *res, struct above *list)
{
    unsigned count = 0;
    struct span line;
    struct mount mount;
    lines_rewind(&res->mounts);
    while (count < ABOVE_MAX && lines_next(&res->mounts, &line)) {
        if (mount_parse(line, &mount) &&
            path_decode(mount.point, res->line_point, sizeof(res->line_point)) == 0 &&
            path_within(res->point, res->line_point))
            list[count++] = (struct above){mount.id, mount.parent, strlen(res->line_point)};
    }
    return count;
}

static unsigned find_above(const struct above *list, unsigned count, uint64_t id)
{
    unsigned i = 0;
    while (i < count && list[i].id != id)
        i++;
    return i;
}

/* Whether another mount of the same parent stands in the way to mount number `at`. */
static bool is_covered(const struct above *list, unsigned count, unsigned at)
{
    const struct above *self = &list[at];
    unsigned parent = find_above(list, count, self->parent);
    size_t parent_len = parent < count ? list[parent].len : 0;
    for (unsigned i = 0; i < count; i++) {
        const struct above *other = &list[i];
        /* A mount above its own parent is odd, and ignored. */
        if (i == at || i == parent || other->parent != self->parent || other->len < parent_len)
            continue;
        if (other->len < self->len || (other->len == self->len && i > at))
            return true;
    }
    return false;
}

/* Whether the candidate's mount point leads to another mount: one on top of it, or one mounted
 * later over a directory on the way, for it or for a mount that it stands on. */
static bool is_hidden(struct resolution *res, uint64_t id)
{
    struct above list[ABOVE_MAX];
    unsigned count = list_above(res, list);
    unsigned at = find_above(list, count, id);
    if (at == count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (i != at && list[i].parent == id && list[i].len == list[at].len)
            return true;
    }
    /* count bounds the way up, in case the ids form a circle. */
    for (unsigned step = 0; step < count && at < count; step++) {
        if (is_covered(list, count, at))
            return true;
        at = find_above(list, count, list[at].parent);
    }
    return false;
}

int mounts_find(struct resolution *res, enum controller controller, int version, const char *path)
{
    struct candidates c = {0};
    while (find_best(res, controller, version, path, &c)) {
        if (!is_hidden(res, c.id))
            return 0;
        if (c.rejected_count == REJECTED_MAX)
            break;
        c.rejected[c.rejected_count++] = c.id;
    }
    return -ENOENT;
}

void mounts_open(struct resolution *res)
{
    const char *file = resolution_file(res, "", "/proc/self/mountinfo");
    struct span line;
    struct mount mount;
    int rc = file == NULL
                 ? -ENAMETOOLONG
                 : lines_open(&res->mounts, file, res->mount_text, sizeof(res->mount_text));
    resolution_note(res, rc);
    if (rc < 0)
        return;
    while (!res->mounts_known && lines_next(&res->mounts, &line))
        res->mounts_known = mount_parse(line, &mount);
    if (!res->mounts_known)
        lines_close(&res->mounts);
}
