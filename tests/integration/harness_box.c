/* Boxes: cgroups by libcgroup, and by their files where libcgroup knows nothing of them. See
 * harness.h. */
#include "harness_internal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <libcgroup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_LEN = 160, BOXES_MAX = 32, CPU_PERIOD_US = 100000 };

struct box {
    char name[NAME_MAX_LEN]; /* relative to the mounts, as libcgroup wants it */
    bool threaded;
};

static struct {
    struct box all[BOXES_MAX];
    size_t count;
} boxes;

/* --- files of a cgroup --- */

static FILE *open_value(const char *mount, const struct box *box, const char *file,
                        const char *mode)
{
    char path[FILENAME_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s/%s", mount, box->name, file);
    return len < (int)sizeof(path) ? fopen(path, mode) : NULL;
}

/* Returns 0 or -errno. */
static int write_value(const char *mount, const struct box *box, const char *file,
                       const char *value)
{
    FILE *f = open_value(mount, box, file, "we");
    if (!f)
        return -errno;
    fputs(value, f);
    return fclose(f) == 0 ? 0 : -errno;
}

static int write_bytes(const struct box *box, const char *file, uint64_t bytes, const char *none)
{
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
    return write_value(mounts.memory, box, file, bytes == NO_LIMIT ? none : text);
}

/* The number in a file, or the one after `key` where key is not NULL; 0 if not there. */
static uint64_t read_value(const struct box *box, const char *file, const char *key)
{
    char line[256];
    FILE *f = open_value(mounts.memory, box, file, "re");
    if (!f)
        return 0;
    uint64_t value = 0;
    size_t key_len = key ? strlen(key) : 0;
    while (fgets(line, sizeof(line), f)) {
        if (key && (strncmp(line, key, key_len) != 0 || line[key_len] != ' '))
            continue;
        value = strtoull(line + key_len, NULL, 10);
        break;
    }
    fclose(f);
    return value;
}

struct cgroup *box_open(const struct box *box)
{
    struct cgroup *group = cgroup_new_cgroup(box->name);
    cr_assert(group && cgroup_add_controller(group, "memory"), "libcgroup: no memory controller");
    if (mounts.cpu)
        cr_assert(cgroup_add_controller(group, "cpu"), "libcgroup: no cpu controller");
    return group;
}

static void box_create(const struct box *box)
{
    struct cgroup *group = box_open(box);
    int err = cgroup_create_cgroup(group, 0);
    cr_assert(err == 0, "cannot make cgroup %s: %s (%s)", box->name, cgroup_strerror(err),
              strerror(cgroup_get_last_errno()));
    cgroup_free(&group);
}

void box_set_cpu(const struct box *box, unsigned percent)
{
    cr_assert(mounts.cpu, "no cpu controller for a quota");
    char text[64];
    unsigned quota = percent * (CPU_PERIOD_US / 100);
    int err;
    if (mounts.version == 2) {
        snprintf(text, sizeof(text), "%u %d", quota, CPU_PERIOD_US);
        err = write_value(mounts.cpu, box, "cpu.max", text);
    } else {
        snprintf(text, sizeof(text), "%d", CPU_PERIOD_US);
        write_value(mounts.cpu, box, "cpu.cfs_period_us", text);
        snprintf(text, sizeof(text), "%u", quota);
        err = write_value(mounts.cpu, box, "cpu.cfs_quota_us", text);
    }
    cr_assert(err == 0, "cannot set a CPU quota: %s", strerror(-err));
}

static struct box *box_add(const struct box *parent)
{
    cr_assert(boxes.count < BOXES_MAX, "too many boxes");
    struct box *box = &boxes.all[boxes.count++];
    if (parent)
        snprintf(box->name, sizeof(box->name), "%.100s/inner_%zu", parent->name, boxes.count);
    else
        snprintf(box->name, sizeof(box->name), "plim_test_%d_%zu", getpid(), boxes.count);
    return box;
}

struct box *box_new(const struct box *parent, struct box_limits limits)
{
    struct box *box = box_add(parent);
    box_create(box);
    if (limits.memory) {
        int err = box_set_memory(box, limits.memory);
        cr_assert(err == 0, "cannot set a memory limit: %s", strerror(-err));
    }
    if (limits.high && mounts.version == 2)
        cr_assert(box_set_high(box, limits.high) == 0, "cannot set memory.high");
    if (limits.cpu_percent)
        box_set_cpu(box, limits.cpu_percent);
    return box;
}

struct box *box_new_threaded(const struct box *parent)
{
    char path[FILENAME_MAX];
    struct box *box = box_add(parent);
    box->threaded = true;
    box_path(box, path, sizeof(path));
    cr_assert(mkdir(path, 0755) == 0, "cannot make cgroup %s: %s", path, strerror(errno));
    int err = write_value(mounts.memory, box, "cgroup.type", "threaded");
    cr_assert(err == 0, "cannot make it threaded: %s", strerror(-err));
    return box;
}

bool box_is_threaded(const struct box *box)
{
    return box->threaded;
}

int box_set_memory(const struct box *box, uint64_t bytes)
{
    if (mounts.version == 2) {
        write_bytes(box, "memory.swap.max", 0, "max"); /* not there without swap accounting */
        return write_bytes(box, "memory.max", bytes, "max");
    }
    /* Swap must not hide that a limit was passed. memory.memsw, where the kernel has it, may never
     * be below the memory limit, so one of the two writes of the limit is refused. */
    write_bytes(box, "memory.limit_in_bytes", bytes, "-1");
    write_bytes(box, "memory.memsw.limit_in_bytes", bytes, "-1");
    return write_bytes(box, "memory.limit_in_bytes", bytes, "-1");
}

int box_set_high(const struct box *box, uint64_t bytes)
{
    return mounts.version == 2 ? write_bytes(box, "memory.high", bytes, "max") : -ENOTSUP;
}

int box_adopt(const struct box *box, pid_t pid)
{
    char text[32];
    snprintf(text, sizeof(text), "%d", pid);
    int err = write_value(mounts.memory, box, "cgroup.procs", text);
    if (err == 0 && mounts.cpu && strcmp(mounts.cpu, mounts.memory) != 0)
        err = write_value(mounts.cpu, box, "cgroup.procs", text);
    return err;
}

int box_remove(const struct box *box)
{
    const char *dirs[] = {mounts.memory, mounts.cpu};
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        char path[FILENAME_MAX];
        if (!dirs[i])
            continue;
        snprintf(path, sizeof(path), "%s/%s", dirs[i], box->name);
        if (rmdir(path) != 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

void box_path(const struct box *box, char *buf, size_t len)
{
    snprintf(buf, len, "%s/%s", mounts.memory, box->name);
}

uint64_t box_usage(const struct box *box)
{
    const char *file = mounts.version == 2 ? "memory.current" : "memory.usage_in_bytes";
    return read_value(box, file, NULL);
}

uint64_t box_peak(const struct box *box)
{
    const char *file = mounts.version == 2 ? "memory.peak" : "memory.max_usage_in_bytes";
    return read_value(box, file, NULL);
}

uint64_t box_page_cache(const struct box *box)
{
    if (mounts.version == 2)
        return read_value(box, "memory.stat", "active_file") +
               read_value(box, "memory.stat", "inactive_file");
    return read_value(box, "memory.stat", "total_active_file") +
           read_value(box, "memory.stat", "total_inactive_file");
}

uint64_t box_high_events(const struct box *box)
{
    return mounts.version == 2 ? read_value(box, "memory.events", "high") : 0;
}

uint64_t box_oom_kills(const struct box *box)
{
    if (mounts.version == 2) /* v2 counts the groups below as well */
        return read_value(box, "memory.events", "oom_kill");
    uint64_t kills = 0;
    size_t len = strlen(box->name);
    for (size_t i = 0; i < boxes.count; i++) {
        const char *name = boxes.all[i].name;
        if (strncmp(name, box->name, len) == 0 && (name[len] == '\0' || name[len] == '/'))
            kills += read_value(&boxes.all[i], "memory.oom_control", "oom_kill");
    }
    return kills;
}
