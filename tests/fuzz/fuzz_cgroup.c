/*
 * Feeds the resolution of cgroups, and plimsoll doctor on top of it, with any tree of files: what
 * is found must make sense, whatever the files hold. Built with clang's libFuzzer; run by
 * tests/fuzz/run.
 */
#include "../../src/cmd/doctor.h"
#include "../../src/cmd/preload.h"

#include "fake_files.h"
#include "input.h"

#include <stdlib.h>
#include <string.h>

/* The library is only searched on this machine, never in a captured tree. */
int preload_find(const char *given, char *path, size_t len)
{
    (void)given, (void)path, (void)len;
    abort();
}

int preload_try(const char *path, char *why, size_t len)
{
    (void)path, (void)why, (void)len;
    abort();
}

static void check_dir(const struct cgroup_dir *dir)
{
    size_t len = strnlen(dir->path, sizeof(dir->path));
    hold(len < sizeof(dir->path) && dir->mount_len <= len);
    hold(len == 0 || dir->path[0] == '/');
    hold(dir->version >= 0 && dir->version <= 2);
    hold((len == 0) == (dir->confidence == CGROUP_NONE));
    hold(len == 0 || dir->version != 0);
}

static void check_memory(const struct cgroup_dir *dir, const struct cgroup_memory *memory)
{
    uint64_t hard = UNLIMITED, high = UNLIMITED;
    size_t above = strlen(dir->path) + 1;
    hold(memory->level_count <= CGROUP_LEVELS_MAX);
    for (unsigned i = 0; i < memory->level_count; i++) {
        const struct cgroup_level *level = &memory->levels[i];
        hold(level->path_len < above && level->path_len >= dir->mount_len);
        hold(level->hard != UNLIMITED || level->high != UNLIMITED);
        hard = u64_min(hard, level->hard);
        high = u64_min(high, level->high);
        above = level->path_len;
    }
    hold(hard == memory->hard && high == memory->high);
}

static void read_all(const struct cgroup *cgroup)
{
    struct cgroup_memory memory;
    uint64_t n;
    const struct cgroup_dir *dir = &cgroup->memory;
    if (cgroup_read_memory(FAKE_ROOT, dir, &memory) == 0)
        check_memory(dir, &memory);
    if (cgroup_read_cpu(FAKE_ROOT, &cgroup->cpu, &n) == 0)
        hold(cgroup_effective_cpus(8, n) >= 1 && cgroup_effective_cpus(8, n) <= 8);
    if (dir->path[0] == '\0')
        return;
    struct sys_file file = {0};
    (void)cgroup_read_limit(FAKE_ROOT, dir, strlen(dir->path), &file, &n);
    (void)cgroup_read_oom_kills(FAKE_ROOT, dir, dir->mount_len, &n);
}

/* The same must be found where reads give files in pieces. */
static void check_pieces(const struct diagnosis *d, size_t len)
{
    static struct cgroup cgroup;
    struct cgroup_memory memory = d->memory;
    fake_chunk(len);
    (void)cgroup_resolve(FAKE_ROOT, d->request.pid, &cgroup);
    (void)cgroup_read_memory(FAKE_ROOT, &cgroup.memory, &memory);
    hold(strcmp(cgroup.memory.path, d->cgroup.memory.path) == 0);
    hold(strcmp(cgroup.cpu.path, d->cgroup.cpu.path) == 0);
    hold(cgroup.memory.confidence == d->cgroup.memory.confidence);
    hold(memory.hard == d->memory.hard && memory.high == d->memory.high);
    hold(memory.swap == d->memory.swap && memory.level_count == d->memory.level_count);
}

static void check_limits(const struct limits *l)
{
    hold(l->source == LIMITS_NONE ||
         (l->low <= l->soft && l->soft <= l->critical && l->critical <= l->hard));
}

static void doctor(int pid, size_t piece)
{
    static struct diagnosis d; /* 30 KiB */
    const struct doctor_request request = {.root = FAKE_ROOT, .pid = pid, .affinity = 4};
    hold(doctor_gather(&request, &d) == 0);
    check_dir(&d.cgroup.memory);
    check_dir(&d.cgroup.cpu);
    hold(d.level_count <= CGROUP_LEVELS_MAX + 1);
    check_limits(&d.limits);
    doctor_judge(&d);
    doctor_print_text(&d);
    doctor_print_json(&d);
    read_all(&d.cgroup);
    fake_chunk(0);
    hold(doctor_gather(&request, &d) == 0);
    check_pieces(&d, piece);
}

/* 4242 is the pid to be found in cgroup.procs where nothing else tells: most cases have this
 * one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fake_begin(data, len);
    doctor(4242, 1 + len % 9);
    fake_end();
    return 0;
}
