/* Boxes and their guardian. See harness.h. */
#include "harness_internal.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAME_MAX_LEN = 160, MOUNTS_MAX = 2, BOXES_MAX = 32, CPU_PERIOD_US = 100000 };

struct box {
    char name[NAME_MAX_LEN]; /* relative to the mounts, as libcgroup wants it */
    bool threaded;
};

/* Where the controllers are mounted; allocated by libcgroup, never freed. */
static char *memory_mount;
static char *cpu_mount; /* NULL where there is no such controller */

static struct {
    int version;
    struct box boxes[BOXES_MAX];
    size_t box_count;
    pid_t guardian;
    int guardian_fd; /* it acts when this end of the pipe is closed */
} harness;

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
    return write_value(memory_mount, box, file, bytes == NO_LIMIT ? none : text);
}

/* The number in a file, or the one after `key` where key is not NULL; 0 if not there. */
static uint64_t read_value(const struct box *box, const char *file, const char *key)
{
    char line[256];
    FILE *f = open_value(memory_mount, box, file, "re");
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

/* --- the guardian --- */

static void kill_all_in(const char *dir)
{
    char path[FILENAME_MAX + 64];
    snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    int pid;
    while (fscanf(f, "%d", &pid) == 1) {
        if (pid > 0)
            kill(pid, SIGKILL);
    }
    fclose(f);
}

/* Empties and removes the directory and those in it. True when it is gone. */
static bool remove_tree(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOENT;
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        char child[FILENAME_MAX];
        if (snprintf(child, sizeof(child), "%s/%s", dir, entry->d_name) < (int)sizeof(child))
            remove_tree(child);
    }
    closedir(d);
    kill_all_in(dir);
    return rmdir(dir) == 0 || errno == ENOENT;
}

static bool remove_boxes_of(pid_t owner, const char *mount)
{
    char prefix[64];
    snprintf(prefix, sizeof(prefix), "plim_test_%d_", owner);
    bool clean = true;
    DIR *d = opendir(mount);
    if (!d)
        return true;
    for (struct dirent *entry; (entry = readdir(d));) {
        char path[FILENAME_MAX];
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            snprintf(path, sizeof(path), "%s/%s", mount, entry->d_name) < (int)sizeof(path))
            clean = remove_tree(path) && clean;
    }
    closedir(d);
    return clean;
}

static _Noreturn void guard(pid_t owner, int fd)
{
    /* Out of the owner's process group: a terminal's ^C must not end this before its work. */
    setsid();
    if (dup2(fd, STDIN_FILENO) < 0)
        _exit(1);
    close_range(1, ~0U, 0);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
        ;
    bool clean = false;
    for (int tries = 0; tries < 600 && !clean; tries++) {
        clean = remove_boxes_of(owner, memory_mount);
        if (cpu_mount)
            clean = remove_boxes_of(owner, cpu_mount) && clean;
        if (!clean)
            sleep_ms(50);
    }
    _exit(clean ? 0 : 1);
}

static void guardian_start(void)
{
    int ends[2];
    cr_assert(pipe2(ends, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    pid_t owner = getpid();
    harness.guardian = fork();
    cr_assert(harness.guardian >= 0, "fork: %s", strerror(errno));
    if (harness.guardian == 0) {
        close(ends[1]);
        guard(owner, ends[0]);
    }
    close(ends[0]);
    harness.guardian_fd = ends[1];
}

/* --- begin and end --- */

/* Why cgroups cannot be made here, or NULL. Fills in the mounts. */
static const char *find_mounts(void)
{
    if (cgroup_init() != 0)
        return "no cgroup file system is mounted";
    if (cgroup_get_subsys_mount_point("memory", &memory_mount) != 0)
        return "no cgroup memory controller";
    if (cgroup_get_subsys_mount_point("cpu", &cpu_mount) != 0)
        cpu_mount = NULL;
    char path[FILENAME_MAX];
    snprintf(path, sizeof(path), "%s/cgroup.controllers", memory_mount);
    harness.version = access(path, F_OK) == 0 ? 2 : 1;
    snprintf(path, sizeof(path), "%s/plim_test_%d_0", memory_mount, getpid());
    if (mkdir(path, 0755) != 0)
        return "no right to make cgroups (run as root)";
    rmdir(path);
    return NULL;
}

void harness_begin(void)
{
    const char *missing = find_mounts();
    if (missing)
        cr_skip_test("%s", missing);
    guardian_start();
}

void harness_end(void)
{
    if (!harness.guardian)
        return;
    close(harness.guardian_fd);
    int status = 0;
    while (waitpid(harness.guardian, &status, 0) < 0 && errno == EINTR)
        ;
    harness.guardian = 0;
    cr_expect(status == 0, "a cgroup of this test could not be removed");
}

int harness_version(void)
{
    return harness.version;
}

/* --- boxes --- */

struct cgroup *box_open(const struct box *box)
{
    struct cgroup *group = cgroup_new_cgroup(box->name);
    cr_assert(group && cgroup_add_controller(group, "memory"), "libcgroup: no memory controller");
    if (cpu_mount)
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
    cr_assert(cpu_mount, "no cpu controller for a quota");
    char text[64];
    unsigned quota = percent * (CPU_PERIOD_US / 100);
    int err;
    if (harness.version == 2) {
        snprintf(text, sizeof(text), "%u %d", quota, CPU_PERIOD_US);
        err = write_value(cpu_mount, box, "cpu.max", text);
    } else {
        snprintf(text, sizeof(text), "%d", CPU_PERIOD_US);
        write_value(cpu_mount, box, "cpu.cfs_period_us", text);
        snprintf(text, sizeof(text), "%u", quota);
        err = write_value(cpu_mount, box, "cpu.cfs_quota_us", text);
    }
    cr_assert(err == 0, "cannot set a CPU quota: %s", strerror(-err));
}

static struct box *box_add(const struct box *parent)
{
    cr_assert(harness.box_count < BOXES_MAX, "too many boxes");
    struct box *box = &harness.boxes[harness.box_count++];
    if (parent)
        snprintf(box->name, sizeof(box->name), "%.100s/inner_%zu", parent->name, harness.box_count);
    else
        snprintf(box->name, sizeof(box->name), "plim_test_%d_%zu", getpid(), harness.box_count);
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
    if (limits.high && harness.version == 2)
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
    int err = write_value(memory_mount, box, "cgroup.type", "threaded");
    cr_assert(err == 0, "cannot make it threaded: %s", strerror(-err));
    return box;
}

bool box_is_threaded(const struct box *box)
{
    return box->threaded;
}

int box_set_memory(const struct box *box, uint64_t bytes)
{
    if (harness.version == 2) {
        write_bytes(box, "memory.swap.max", 0, "max"); /* not there without swap accounting */
        return write_bytes(box, "memory.max", bytes, "max");
    }
    /* Swap must not hide a limit that was passed. memory.memsw, where the kernel has it, may at no
     * moment be the smaller one: so one of the two writes of the limit is refused. */
    write_bytes(box, "memory.limit_in_bytes", bytes, "-1");
    write_bytes(box, "memory.memsw.limit_in_bytes", bytes, "-1");
    return write_bytes(box, "memory.limit_in_bytes", bytes, "-1");
}

int box_set_high(const struct box *box, uint64_t bytes)
{
    return harness.version == 2 ? write_bytes(box, "memory.high", bytes, "max") : -ENOTSUP;
}

int box_adopt(const struct box *box, pid_t pid)
{
    char text[32];
    snprintf(text, sizeof(text), "%d", pid);
    int err = write_value(memory_mount, box, "cgroup.procs", text);
    if (err == 0 && cpu_mount && strcmp(cpu_mount, memory_mount) != 0)
        err = write_value(cpu_mount, box, "cgroup.procs", text);
    return err;
}

int box_remove(const struct box *box)
{
    const char *mounts[] = {memory_mount, cpu_mount};
    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        char path[FILENAME_MAX];
        if (!mounts[i])
            continue;
        snprintf(path, sizeof(path), "%s/%s", mounts[i], box->name);
        if (rmdir(path) != 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

void box_path(const struct box *box, char *buf, size_t len)
{
    snprintf(buf, len, "%s/%s", memory_mount, box->name);
}

uint64_t box_usage(const struct box *box)
{
    const char *file = harness.version == 2 ? "memory.current" : "memory.usage_in_bytes";
    return read_value(box, file, NULL);
}

uint64_t box_peak(const struct box *box)
{
    const char *file = harness.version == 2 ? "memory.peak" : "memory.max_usage_in_bytes";
    return read_value(box, file, NULL);
}

uint64_t box_page_cache(const struct box *box)
{
    if (harness.version == 2)
        return read_value(box, "memory.stat", "active_file") +
               read_value(box, "memory.stat", "inactive_file");
    return read_value(box, "memory.stat", "total_active_file") +
           read_value(box, "memory.stat", "total_inactive_file");
}

uint64_t box_high_events(const struct box *box)
{
    return harness.version == 2 ? read_value(box, "memory.events", "high") : 0;
}

uint64_t box_oom_kills(const struct box *box)
{
    if (harness.version == 2) /* counts those below, too */
        return read_value(box, "memory.events", "oom_kill");
    uint64_t kills = 0;
    size_t len = strlen(box->name);
    for (size_t i = 0; i < harness.box_count; i++) {
        const char *name = harness.boxes[i].name;
        if (strncmp(name, box->name, len) == 0 && (name[len] == '\0' || name[len] == '/'))
            kills += read_value(&harness.boxes[i], "memory.oom_control", "oom_kill");
    }
    return kills;
}
