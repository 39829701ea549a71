/* plimsoll doctor: what there is to know about a process and its cgroups. */
#include "doctor.h"

#include "preload.h"

#include "../fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { ENVIRON_MAX = 256 * 1024, ENTRIES_MAX = 4096 };

const char *const doctor_topic_words[DOCTOR_TOPIC_COUNT] = {
#define X(id, words) words,
    DOCTOR_TOPICS(X)
#undef X
};

void doctor_add(struct diagnosis *diagnosis, enum doctor_weight weight, enum doctor_topic topic,
                const char *format, ...)
{
    if (diagnosis->finding_count == DOCTOR_FINDINGS_MAX)
        return;
    struct doctor_finding *finding = &diagnosis->findings[diagnosis->finding_count++];
    va_list args;
    finding->weight = weight;
    finding->topic = topic;
    va_start(args, format);
    (void)vsnprintf(finding->text, sizeof(finding->text), format, args);
    va_end(args);
}

static bool is_captured(const struct diagnosis *d)
{
    return d->request.root[0] != '\0';
}

static void take_complaint(void *diagnosis, const char *line)
{
    doctor_add(diagnosis, DOCTOR_PROBLEM, DOCTOR_VARIABLES, "%s", line);
}

/* For another process the environment that it was started with. */
static void read_environment(struct diagnosis *d)
{
    static char text[ENVIRON_MAX];
    static const char *entries[ENTRIES_MAX];
    char path[64];
    size_t count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/environ", d->request.pid);
    long got = sys_read_file(path, text, sizeof(text));
    if (got < 0) {
        options_parse(NULL, &d->options, NULL, NULL);
        doctor_add(d, DOCTOR_WARNING, DOCTOR_VARIABLES,
                   "the environment of process %d cannot be read (%s): the defaults are shown",
                   d->request.pid, strerror((int)-got));
        return;
    }
    for (long at = 0; at < got && count + 1 < ENTRIES_MAX; at += (long)strlen(text + at) + 1)
        entries[count++] = text + at;
    entries[count] = NULL;
    options_parse(entries, &d->options, take_complaint, d);
    doctor_gather_environment(entries, &d->process);
}

static unsigned affinity_of(const struct doctor_request *request)
{
    cpu_set_t set;
    if (request->affinity > 0)
        return (unsigned)request->affinity;
    if (request->root[0] == '\0' && request->pid > 0 &&
        sched_getaffinity(request->pid, sizeof(set), &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    return sys_affinity_cpus();
}

/* The setting in brackets, as in "always [madvise] never". */
static void read_thp(struct diagnosis *d)
{
    char path[CGROUP_PATH_MAX], text[128];
    (void)snprintf(path, sizeof(path), "%s/sys/kernel/mm/transparent_hugepage/enabled",
                   d->request.root);
    if (sys_read_file(path, text, sizeof(text)) <= 0)
        return;
    const char *open = strchr(text, '[');
    const char *close = open != NULL ? strchr(open, ']') : NULL;
    if (close != NULL)
        (void)snprintf(d->thp, sizeof(d->thp), "%.*s", (int)(close - open - 1), open + 1);
}

static uint64_t captured_swap(const char *root)
{
    const char *key = "SwapTotal";
    char path[CGROUP_PATH_MAX], text[4096];
    uint64_t kib = UNLIMITED;
    (void)snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    if (sys_read_file(path, text, sizeof(text)) > 0)
        (void)fmt_scan_keys(text, &key, &kib, 1);
    return kib < UNLIMITED / KiB ? kib * KiB : UNLIMITED;
}

static uint64_t read_swap(const struct diagnosis *d)
{
    struct sysinfo info;
    if (is_captured(d))
        return captured_swap(d->request.root);
    if (sysinfo(&info) < 0)
        return UNLIMITED;
    return (uint64_t)info.totalswap * info.mem_unit;
}

static void read_more_of_level(const struct diagnosis *d, struct doctor_level *level)
{
    static char text[16 * 1024];
    const struct cgroup_dir *dir = &d->cgroup.memory;
    const char *key = dir->version == 1 ? "total_shmem" : "shmem";
    char path[CGROUP_PATH_MAX];
    if (cgroup_level_file(d->request.root, dir, level->limit.path_len, "memory.stat", path,
                          sizeof(path)) == 0 &&
        sys_read_file(path, text, sizeof(text)) > 0)
        (void)fmt_scan_keys(text, &key, &level->shmem, 1);
}

static void add_level(struct diagnosis *d, const struct cgroup_level *from)
{
    struct doctor_level *level = &d->levels[d->level_count++];
    struct sys_file usage = {0}, stat = {0};
    *level = (struct doctor_level){
        .limit = *from, .usage = UNLIMITED, .reclaimable = UNLIMITED, .shmem = UNLIMITED};
    (void)cgroup_read_usage(d->request.root, &d->cgroup.memory, from->path_len, &usage,
                            &level->usage);
    (void)cgroup_read_reclaimable(d->request.root, &d->cgroup.memory, from->path_len, &stat,
                                  &level->reclaimable);
    sys_file_close(&usage);
    sys_file_close(&stat);
    read_more_of_level(d, level);
}

/* The process's own cgroup, limited or not, and all that limit it. */
static void gather_levels(struct diagnosis *d)
{
    size_t own_len = strlen(d->cgroup.memory.path);
    if (own_len == 0)
        return;
    if (d->memory.level_count == 0 || d->memory.levels[0].path_len != own_len)
        add_level(d, &(struct cgroup_level){UNLIMITED, UNLIMITED, own_len});
    for (unsigned i = 0; i < d->memory.level_count; i++)
        add_level(d, &d->memory.levels[i]);
}

static bool is_oom_group(const struct diagnosis *d, size_t path_len)
{
    char path[CGROUP_PATH_MAX], text[16];
    return cgroup_level_file(d->request.root, &d->cgroup.memory, path_len, "memory.oom.group", path,
                             sizeof(path)) == 0 &&
           sys_read_file(path, text, sizeof(text)) > 0 && text[0] == '1';
}

/* Levels without a limit count too: runtimes may set memory.oom.group on a container whose limit is
 * further up. */
static void gather_oom_groups(struct diagnosis *d)
{
    const struct cgroup_dir *dir = &d->cgroup.memory;
    size_t len = strlen(dir->path);
    unsigned i = 0;
    if (dir->version != 2 || len == 0)
        return;
    do {
        if (is_oom_group(d, len))
            d->oom_group_len = len;
        if (i < d->level_count && d->levels[i].limit.path_len == len)
            d->levels[i++].oom_group_len = d->oom_group_len;
    } while (cgroup_level_up(dir, &len));
}

struct limits doctor_limits_under(const struct diagnosis *d, uint64_t hard)
{
    bool nearest = true;
    for (unsigned i = 0; cgroup_next_limit(&d->memory, d->ram, &i); i++) {
        if (cgroup_level_bytes(&d->memory.levels[i]) == hard)
            return limits_of_level(nearest, hard, &d->options.wish);
        nearest = false;
    }
    return (struct limits){.source = LIMITS_NONE};
}

static uint64_t nearest_limit(const struct diagnosis *d)
{
    unsigned i = 0;
    return cgroup_next_limit(&d->memory, d->ram, &i) ? cgroup_level_bytes(&d->memory.levels[i])
                                                     : d->ram;
}

/* The root of a v2 hierarchy has no memory.max: where the topmost level has one, it is not the
 * root. On v1 a limit above it is known from memory.stat. */
static bool is_above_hidden(const struct diagnosis *d)
{
    const struct cgroup_dir *dir = &d->cgroup.memory;
    char path[CGROUP_PATH_MAX];
    return dir->version == 2 && dir->path[0] != '\0' &&
           cgroup_level_file(d->request.root, dir, dir->mount_len, "memory.max", path,
                             sizeof(path)) == 0 &&
           access(path, F_OK) == 0;
}

static void gather_limits(struct diagnosis *d)
{
    const char *root = d->request.root;
    d->memory = (struct cgroup_memory){.hard = UNLIMITED, .high = UNLIMITED, .swap = UNLIMITED};
    d->millicpus = UNLIMITED;
    (void)cgroup_read_memory(root, &d->cgroup.memory, &d->memory);
    (void)cgroup_read_cpu(root, &d->cgroup.cpu, &d->millicpus);
    d->above_hidden = is_above_hidden(d);
    d->ram = cgroup_ram_bytes(root);
    d->affinity = affinity_of(&d->request);
    d->effective_cpus = cgroup_effective_cpus(d->affinity, d->millicpus);
    d->effective_bytes = cgroup_effective_bytes(&d->memory, d->ram);
    d->binding_bytes = d->effective_bytes;
    d->nearest_bytes = nearest_limit(d);
    d->limits = d->effective_bytes < d->ram ? doctor_limits_under(d, d->effective_bytes)
                                            : limits_alone(d->ram, &d->options.wish);
}

/* Where run would find the library, and whether it can be loaded at all. */
static void gather_library(struct diagnosis *d)
{
    char why[400] = "";
    int rc = preload_find(NULL, d->library, sizeof(d->library));
    if (rc < 0) {
        d->library[0] = '\0';
        doctor_add(d, DOCTOR_PROBLEM, DOCTOR_LIBRARY,
                   "libplimsoll.so was not found beside this command or in %s", CMD_LIBDIR);
    } else if (preload_try(d->library, why, sizeof(why)) == -ELIBBAD) {
        doctor_add(d, DOCTOR_PROBLEM, DOCTOR_LIBRARY, "%s cannot be loaded: %s", d->library, why);
    }
}

static int resolve(struct diagnosis *d)
{
    const struct doctor_request *request = &d->request;
    if (is_captured(d) || request->pid == 0)
        return cgroup_resolve(request->root, request->pid > 0 ? request->pid : (int)getpid(),
                              &d->cgroup);
    return cgroup_resolve_process(request->pid, &d->cgroup);
}

/* Some images have no /proc, which is no error. */
static void look_for_proc(struct diagnosis *d)
{
    char path[CGROUP_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/proc", d->request.root);
    if (access(path, F_OK) < 0)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_LIMIT,
                   "%s is not there: this is no captured tree, or that of a place without /proc, "
                   "where the cgroup of a process can only be guessed",
                   path);
}

int doctor_gather(const struct doctor_request *request, struct diagnosis *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->request = *request;
    if (!is_captured(ret) && request->pid > 0) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/proc/%d", request->pid);
        if (access(path, F_OK) < 0)
            return -ESRCH;
        read_environment(ret);
    } else {
        options_parse((const char *const *)environ, &ret->options, take_complaint, ret);
        doctor_gather_environment((const char *const *)environ, &ret->process);
    }
    (void)resolve(ret);
    gather_limits(ret);
    gather_levels(ret);
    gather_oom_groups(ret);
    read_thp(ret);
    ret->swap = read_swap(ret);
    if (is_captured(ret)) {
        look_for_proc(ret);
    } else {
        gather_library(ret);
        doctor_gather_process(ret);
    }
    return 0;
}
