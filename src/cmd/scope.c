/* A fresh cgroup for one program, see scope.h. */
#include "scope.h"

#include "cgroupfs.h"
#include "libcg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    PERIOD_US = 100000,   /* the kernel's default for CPU quotas */
    REMOVE_TRIES = 500,   /* at REMOVE_PAUSE: how long the killed may take to vanish */
    REMOVE_PAUSE_MS = 10, /* the first tries wait less */
    VALUES_MAX = 3,
};

static int fail(struct scope *scope, int rc, const char *what, const char *path)
{
    (void)snprintf(scope->failure, sizeof(scope->failure), "%s %s: %s", what, path, strerror(-rc));
    return rc;
}

/* The cgroup's name as libcgroup has it: below the mount. */
static const char *group_name(const struct scope_group *group)
{
    return group->dir.path + group->dir.mount_len;
}

/* One of the group's controllers, which share the directory. */
static const char *group_control(const struct scope_group *group)
{
    return control_name(group->controls & CONTROL_MEMORY ? CONTROL_MEMORY : CONTROL_CPU);
}

static size_t group_values(const struct scope_group *group, const struct scope_limits *limits,
                           struct libcg_value *values)
{
    bool v1 = group->dir.version == 1;
    size_t n = 0;
    if ((group->controls & CONTROL_MEMORY) != 0) {
        values[n] = (struct libcg_value){"memory", v1 ? "memory.limit_in_bytes" : "memory.max", ""};
        (void)snprintf(values[n++].text, sizeof(values->text), "%" PRIu64, limits->memory);
    }
    if ((group->controls & CONTROL_CPU) == 0)
        return n;
    uint64_t quota = limits->millicpus * (PERIOD_US / 1000);
    values[n] = (struct libcg_value){"cpu", v1 ? "cpu.cfs_period_us" : "cpu.max", ""};
    if (v1) {
        (void)snprintf(values[n++].text, sizeof(values->text), "%d", PERIOD_US);
        values[n] = (struct libcg_value){"cpu", "cpu.cfs_quota_us", ""};
        (void)snprintf(values[n++].text, sizeof(values->text), "%" PRIu64, quota);
    } else {
        (void)snprintf(values[n++].text, sizeof(values->text), "%" PRIu64 " %d", quota, PERIOD_US);
    }
    return n;
}

static int group_set(struct scope *scope, struct scope_group *group,
                     const struct scope_limits *limits)
{
    struct libcg_value values[VALUES_MAX];
    const struct libcg_value *failed = values;
    size_t count = group_values(group, limits, values);
    int rc = libcg_set(group_name(group), values, count, &failed);
    if (rc < 0) {
        char what[128];
        (void)snprintf(what, sizeof(what), "cannot set %s to %s in", failed->file, failed->text);
        return fail(scope, rc, what, group->dir.path);
    }
    return 0;
}

/* Makes a new directory, and checks that libcgroup finds the same one. */
static int group_make(struct scope *scope, struct scope_group *group)
{
    char path[sizeof(group->dir.path)];
    int rc = place_find(group->own, group->controls, &group->place);
    if (rc == -EBUSY)
        return fail(scope, rc, "other processes and a limit are in the way of a cgroup under",
                    group->place.path);
    if (rc < 0)
        return fail(scope, rc, "cannot create a cgroup under", group->place.path);
    int n = snprintf(path, sizeof(path), "%s/" PLACE_PREFIX "%d", group->place.path, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof(path))
        return fail(scope, -ENAMETOOLONG, "cannot create a cgroup under", group->place.path);
    for (unsigned bit = CONTROL_MEMORY; bit <= CONTROL_CPU; bit <<= 1) {
        rc = (group->controls & bit) != 0
                 ? libcg_check_mount(control_name(bit), path, group->place.mount_len)
                 : 0;
        if (rc < 0)
            return fail(scope, rc, "libcgroup has another mount than", path);
    }
    rc = cgroupfs_make_new(path, sizeof(path));
    if (rc < 0)
        return fail(scope, rc, "cannot create a cgroup under", group->place.path);
    group->dir.version = group->own->version;
    group->dir.confidence = CGROUP_EXACT;
    group->dir.mount_len = group->place.mount_len;
    memcpy(group->dir.path, path, strlen(path) + 1);
    return 0;
}

/* Adds a controller: to the group that has the same directory, or as a group of its own. */
static int add_control(struct scope *scope, unsigned control, const struct cgroup_dir *own)
{
    if (own->path[0] == '\0') {
        (void)snprintf(scope->failure, sizeof(scope->failure),
                       "no cgroup with a %s controller is visible here", control_name(control));
        return -ENOENT;
    }
    if (scope->count == 0 || strcmp(scope->groups[0].own->path, own->path) != 0)
        scope->groups[scope->count++].own = own;
    scope->groups[scope->count - 1].controls |= control;
    return 0;
}

int scope_create(const struct scope_limits *limits, struct scope *ret)
{
    static struct cgroup own; /* large */
    memset(ret, 0, sizeof(*ret));
    (void)cgroup_resolve("", (int)getpid(), &own);

    int rc = limits->memory != UNLIMITED ? add_control(ret, CONTROL_MEMORY, &own.memory) : 0;
    if (rc == 0 && limits->millicpus != UNLIMITED)
        rc = add_control(ret, CONTROL_CPU, &own.cpu);
    if (rc < 0)
        return rc;
    rc = libcg_init(); /* not earlier: its complaint of what is not mounted helps nobody */
    if (rc < 0)
        return fail(ret, rc, "libcgroup cannot read", "/proc/mounts");
    for (unsigned i = 0; i < ret->count && rc == 0; i++) {
        rc = group_make(ret, &ret->groups[i]);
        if (rc == 0)
            rc = group_set(ret, &ret->groups[i], limits);
    }
    if (rc < 0) {
        char failure[sizeof(ret->failure)];
        memcpy(failure, ret->failure, sizeof(failure));
        (void)scope_remove(ret);
        memcpy(ret->failure, failure, sizeof(failure));
    }
    return rc;
}

int scope_attach(struct scope *scope, pid_t pid)
{
    for (unsigned i = 0; i < scope->count; i++) {
        struct scope_group *group = &scope->groups[i];
        int rc = libcg_attach(group_name(group), group_control(group), pid);
        if (rc < 0)
            return fail(scope, rc, "cannot move the program into", group->dir.path);
    }
    return 0;
}

void scope_read_toll(const struct scope *scope, struct scope_toll *ret)
{
    *ret = (struct scope_toll){.peak_bytes = UNLIMITED};
    for (unsigned i = 0; i < scope->count; i++) {
        const struct scope_group *group = &scope->groups[i];
        const char *path = group->dir.path;
        uint64_t reached = 0, here = 0;
        if ((group->controls & CONTROL_MEMORY) == 0)
            continue;
        (void)cgroup_read_oom_kills("", &group->dir, strlen(path), &ret->kills);
        if (group->dir.version == 1) {
            (void)cgroupfs_read_u64(path, "memory.failcnt", NULL, &reached);
            (void)cgroupfs_read_u64(path, "memory.max_usage_in_bytes", NULL, &ret->peak_bytes);
        } else {
            /* memory.events also counts what happens below, which a nested run reports itself. */
            if (cgroupfs_read_u64(path, "memory.events.local", "oom", &reached) == 0 &&
                reached == 0 &&
                cgroupfs_read_u64(path, "memory.events.local", "oom_kill", &here) == 0 && here == 0)
                ret->kills = 0;
            (void)cgroupfs_read_u64(path, "memory.peak", NULL, &ret->peak_bytes);
        }
        ret->at_own_limit = reached > 0;
    }
}

static int group_remove(struct scope_group *group)
{
    int rc = 0;
    if (group->dir.path[0] == '\0')
        return 0;
    for (unsigned try = 0; try < REMOVE_TRIES; try++) {
        if (cgroupfs_kill(group->dir.path) <= 0) {
            (void)cgroupfs_remove_children(group->dir.path);
            rc = libcg_remove(group_name(group), group_control(group));
            if (rc == 0)
                break;
        }
        (void)usleep(1000 * (try < REMOVE_PAUSE_MS ? try + 1 : REMOVE_PAUSE_MS));
    }
    return access(group->dir.path, F_OK) < 0 ? 0 : rc < 0 ? rc : -EBUSY;
}

int scope_remove(struct scope *scope)
{
    int rc = 0;
    for (unsigned i = scope->count; i-- > 0;) {
        struct scope_group *group = &scope->groups[i];
        int one = group_remove(group);
        if (one < 0)
            rc = fail(scope, one, "cannot remove the cgroup", group->dir.path);
        place_restore(&group->place);
        group->dir.path[0] = '\0';
    }
    return rc;
}
