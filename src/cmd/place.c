/* Where a new cgroup can be made, see place.h. */
#include "place.h"

#include "cgroupfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOVE_PASSES = 20 };

const char *control_name(unsigned control)
{
    return control == CONTROL_MEMORY ? "memory" : "cpu";
}

/* "+memory +cpu", or with '-'. */
static void control_list(char *buf, size_t len, char sign, unsigned controls)
{
    buf[0] = '\0';
    for (unsigned bit = CONTROL_MEMORY; bit <= CONTROL_CPU; bit <<= 1) {
        size_t used = strlen(buf);
        if ((controls & bit) != 0)
            (void)snprintf(buf + used, len - used, "%s%c%s", used > 0 ? " " : "", sign,
                           control_name(bit));
    }
}

static unsigned controls_missing(const char *path, unsigned controls)
{
    for (unsigned bit = CONTROL_MEMORY; bit <= CONTROL_CPU; bit <<= 1)
        if (cgroupfs_has_word(path, "cgroup.subtree_control", control_name(bit)))
            controls &= ~bit;
    return controls;
}

static int switch_controls(const char *path, char sign, unsigned controls)
{
    char list[32];
    control_list(list, sizeof(list), sign, controls);
    return cgroupfs_write(path, "cgroup.subtree_control", list);
}

static int refuse_others(pid_t pid, void *arg)
{
    (void)arg;
    return pid == getpid() ? 0 : -EBUSY;
}

/* A cgroup with no process but us, or one that another plimsoll run made for its program (not the
 * leaf for its caller: beside that there is room). */
static bool may_rearrange(const char *path)
{
    const char *base = strrchr(path, '/');
    if (base != NULL && strncmp(base + 1, PLACE_PREFIX, strlen(PLACE_PREFIX)) == 0)
        return strchr(base, '.') == NULL;
    return cgroupfs_each_process(path, refuse_others, NULL) >= 0;
}

static int move_process(pid_t pid, void *to)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%d", (int)pid);
    if (pid <= 0)
        return -EBUSY; /* in a pid namespace that is hidden from us */
    int rc = cgroupfs_write(to, "cgroup.procs", text);
    return rc == -ESRCH ? 0 : rc; /* ended meanwhile */
}

/* Moves all processes of one cgroup, including those that they fork meanwhile. */
static int move_all(const char *from, char *to)
{
    for (int pass = 0; pass < MOVE_PASSES; pass++) {
        int count = cgroupfs_each_process(from, move_process, to);
        if (count <= 0)
            return count;
    }
    return -EBUSY;
}

static int move_down(struct place *place)
{
    size_t len = sizeof(place->leaf);
    int n = snprintf(place->leaf, len, "%s/" PLACE_PREFIX "%d.caller", place->path, (int)getpid());
    int rc = n < 0 || (size_t)n >= len ? -ENAMETOOLONG : cgroupfs_make_new(place->leaf, len);
    if (rc == 0) {
        rc = move_all(place->path, place->leaf);
        if (rc < 0) {
            (void)move_all(place->leaf, place->path);
            (void)rmdir(place->leaf);
        }
    }
    if (rc < 0)
        place->leaf[0] = '\0';
    return rc;
}

static int refuse_any(pid_t pid, void *arg)
{
    (void)pid;
    (void)arg;
    return -EBUSY;
}

/* Whether the cgroup's children cannot be limited because it has processes itself; not so for the
 * root of all, which has no type. The kernel itself refuses this for memory only; with cpu alone
 * the child could not be entered. */
static bool has_processes(const char *path)
{
    char type[64];
    return cgroupfs_read(path, "cgroup.type", type, sizeof(type)) >= 0 &&
           cgroupfs_each_process(path, refuse_any, NULL) < 0;
}

/* Why no cgroup can be made below one that has processes. If nothing may be written there at all,
 * as in most containers, that tells more. */
static int busy_error(const char *path)
{
    return access(path, W_OK) < 0 ? -errno : -EBUSY;
}

/* Makes the controllers available to children of place->path. */
static int enable(struct place *place, unsigned controls, bool own)
{
    unsigned missing = controls_missing(place->path, controls);
    bool busy = has_processes(place->path);
    if (missing == 0 && !busy)
        return 0;
    int rc = busy ? busy_error(place->path) : switch_controls(place->path, '+', missing);
    if (rc == -EBUSY && own && may_rearrange(place->path)) {
        rc = move_down(place);
        if (rc < 0)
            return rc;
        rc = missing != 0 ? switch_controls(place->path, '+', missing) : 0;
        if (rc < 0)
            place_restore(place);
    }
    if (rc == 0)
        place->enabled = missing;
    return rc;
}

int place_find(const struct cgroup_dir *own, unsigned controls, struct place *ret)
{
    *ret = (struct place){.mount_len = own->mount_len};
    (void)snprintf(ret->path, sizeof(ret->path), "%s", own->path);
    if (own->version == 1)
        return 0;

    int first = 0;
    size_t len = strlen(ret->path);
    for (;;) {
        int rc = enable(ret, controls, len == strlen(own->path));
        if (rc == 0)
            return 0;
        if (first == 0 || first == -EBUSY)
            first = rc; /* missing rights tell more than that the first place is taken */
        if (len <= own->mount_len || place_has_limits(ret->path))
            break;
        while (ret->path[--len] != '/')
            ;
        ret->path[len] = '\0';
        ret->leaf[0] = '\0';
    }
    (void)snprintf(ret->path, sizeof(ret->path), "%s", own->path);
    return first;
}

static int refuse_if_not_leaf(const char *child, void *leaf)
{
    return strcmp(child, leaf) == 0 ? 0 : -EBUSY;
}

void place_restore(struct place *place)
{
    if (place->leaf[0] == '\0')
        return;
    /* A cgroup that somebody made beside the leaf still needs the controllers. */
    if (cgroupfs_each_child(place->path, refuse_if_not_leaf, place->leaf) < 0)
        return;
    if (place->enabled != 0 && switch_controls(place->path, '-', place->enabled) < 0)
        return;
    if (move_all(place->leaf, place->path) < 0)
        return;
    (void)rmdir(place->leaf);
    place->leaf[0] = '\0';
}
