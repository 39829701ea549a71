/*
 * Real layouts of cgroups, captured from systems on which some runtime got them wrong: each must
 * be resolved to the answer that its file expects. See case_file.h for the form of the files.
 */
#include "case_file.h"
#include "cgroup.h"
#include "limits.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct case_param {
    char name[128];
};

/* All that is found in a tree, before or after the change. */
struct found {
    struct cgroup cgroup;
    struct cgroup_memory memory;
    uint64_t millicpus;
    uint64_t ram;
};

struct check {
    const struct case_file *c;
    const struct found *found;
    bool after;
};

static void find(const char *root, int pid, struct found *ret)
{
    (void)cgroup_resolve(root, pid, &ret->cgroup);
    cr_assert_eq(cgroup_read_memory(root, &ret->cgroup.memory, &ret->memory), 0);
    cr_assert_eq(cgroup_read_cpu(root, &ret->cgroup.cpu, &ret->millicpus), 0);
    ret->ram = cgroup_ram_bytes(root);
}

static void check_bytes(const char *name, const char *key, const char *value, uint64_t found)
{
    uint64_t expected = strcmp(value, "unlimited") == 0 ? UNLIMITED : strtoull(value, NULL, 10);
    cr_expect(found == expected, "%s: %s is %llu, not %s", name, key, (unsigned long long)found,
              value);
}

static void check_path(const char *name, const char *key, const char *value,
                       const struct cgroup_dir *dir)
{
    const char *path = dir->path[0] != '\0' ? dir->path : "-";
    cr_expect_str_eq(path, value, "%s: %s is %s, not %s", name, key, path, value);
}

static void check_cpus(const char *name, const char *value, uint64_t millicpus)
{
    char text[32] = "unlimited";
    if (millicpus != UNLIMITED) {
        snprintf(text, sizeof(text), "%g", (double)millicpus / 1000);
    }
    cr_expect_str_eq(text, value, "%s: cpus is %s, not %s", name, text, value);
}

static unsigned effective_cpus(const struct check *check)
{
    uint64_t affinity = case_bytes(check->c, false, "affinity_cpus", 1);
    affinity = u64_min(affinity, case_bytes(check->c, false, "cpuset_cpus", UNLIMITED));
    return cgroup_effective_cpus((unsigned)affinity, check->found->millicpus);
}

static void check_confidence(const char *name, const char *value, enum cgroup_confidence found)
{
    static const char *const words[] = {
        [CGROUP_NONE] = "none", [CGROUP_FALLBACK] = "fallback", [CGROUP_EXACT] = "exact"};
    cr_expect_str_eq(words[found], value, "%s: confidence is %s, not %s", name, words[found],
                     value);
}

/* Keys that are inputs, remarks, or of no consequence to a limit. */
static bool is_no_result(const char *key)
{
    static const char *const keys[] = {
        "issue",
        "note",
        "pid",
        "affinity_cpus",
        "cpuset_cpus",
        "memory_low_bytes",
        "memory_limit_bytes_without_search" /* tested by itself: cases_without_a_search */};
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
        if (strcmp(key, keys[i]) == 0)
            return true;
    }
    return false;
}

static void check_key(const char *key, const char *value, void *arg)
{
    const struct check *check = arg;
    const struct found *f = check->found;
    const char *name = check->c->name;
    if (strcmp(key, "version") == 0)
        cr_expect(f->cgroup.memory.version == atoi(value), "%s: version is %d, not %s", name,
                  f->cgroup.memory.version, value);
    else if (strcmp(key, "memory_limit_bytes") == 0)
        check_bytes(name, key, value, f->memory.hard);
    else if (strcmp(key, "memory_high_bytes") == 0)
        check_bytes(name, key, value, f->memory.high);
    else if (strcmp(key, "swap_limit_bytes") == 0)
        check_bytes(name, key, value, f->memory.swap);
    else if (strcmp(key, "cpus") == 0)
        check_cpus(name, value, f->millicpus);
    else if (strcmp(key, "path") == 0)
        check_path(name, key, value, &f->cgroup.memory);
    else if (strcmp(key, "cpu_path") == 0)
        check_path(name, key, value, &f->cgroup.cpu);
    else if (strcmp(key, "confidence") == 0)
        check_confidence(name, value, f->cgroup.memory.confidence);
    else if (strcmp(key, "ram_bytes") == 0 && f->ram != UNLIMITED)
        check_bytes(name, key, value, f->ram);
    else if (strcmp(key, "effective_cpus") == 0)
        check_bytes(name, key, value, effective_cpus(check));
    else if (strcmp(key, "effective_bytes") == 0)
        check_bytes(name, key, value, cgroup_effective_bytes(&f->memory, f->ram));
    else
        cr_expect(is_no_result(key) || strcmp(key, "ram_bytes") == 0, "%s: unknown key %s", name,
                  key);
}

/* Each level has a limit, the own cgroup's level comes first, and the smallest limits are the
 * result's. */
static void check_levels(const char *name, const struct found *f)
{
    uint64_t hard = UNLIMITED, high = UNLIMITED;
    const struct cgroup_dir *dir = &f->cgroup.memory;
    for (unsigned i = 0; i < f->memory.level_count; i++) {
        const struct cgroup_level *level = &f->memory.levels[i];
        hard = u64_min(hard, level->hard);
        high = u64_min(high, level->high);
        cr_expect(level->hard != UNLIMITED || level->high != UNLIMITED, "%s", name);
        cr_expect(level->path_len <= strlen(dir->path) && level->path_len >= dir->mount_len);
        cr_expect(i == 0 || level->path_len < f->memory.levels[i - 1].path_len, "%s", name);
    }
    cr_expect(hard == f->memory.hard && high == f->memory.high, "%s: levels differ", name);
}

static void check_state(const struct case_file *c, bool after, const char *root,
                        struct found *found)
{
    struct check check = {c, found, after};
    find(root, (int)case_bytes(c, false, "pid", 0), found);
    /* Where a tree has no meminfo, the case says how much RAM there is, or that it is unknown. */
    if (found->ram == UNLIMITED)
        found->ram = case_bytes(c, false, "ram_bytes", UNLIMITED);
    check_levels(c->name, found);
    case_each_key(c, after, check_key, &check);
}

static bool is_case(const char *name)
{
    size_t len = strlen(name);
    return len > 5 && strcmp(name + len - 5, ".case") == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

ParameterizedTestParameters(cgroup, case_file_is_resolved_as_it_expects)
{
    DIR *dir = opendir(case_directory());
    cr_assert(dir != NULL, "no directory %s", case_directory());
    size_t count = 0, room = 256;
    struct case_param *params = cr_malloc(room * sizeof(*params));
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL && count < room) {
        if (is_case(entry->d_name))
            snprintf(params[count++].name, sizeof(params[0].name), "%s", entry->d_name);
    }
    closedir(dir);
    qsort(params, count, sizeof(*params), by_name);
    return cr_make_param_array(struct case_param, params, count);
}

/* A file that was open before the change: the same descriptor must show it. */
static void check_held(const struct cgroup_dir *dir, const char *root, struct sys_file *file,
                       char *buf, size_t len)
{
    char path[CGROUP_PATH_MAX];
    const char *name = dir->version == 1 ? "memory.limit_in_bytes" : "memory.max";
    cr_assert_eq(cgroup_level_file(root, dir, strlen(dir->path), name, path, sizeof(path)), 0);
    cr_expect(sys_file_read(file, path, buf, len) > 0);
}

static void check_change(const struct case_file *c, const char *root, struct found *found)
{
    char text[64] = "", limit[64];
    struct sys_file file = {0};
    struct cgroup_dir before = found->cgroup.memory;
    check_held(&before, root, &file, text, sizeof(text));
    int fd = file.fd_plus_1;
    case_change(c, root);
    int gone = cgroup_read_memory(root, &before, &found->memory);
    check_state(c, true, root, found);
    if (strcmp(before.path, found->cgroup.memory.path) == 0) {
        cr_expect_eq(gone, 0);
        check_held(&before, root, &file, text, sizeof(text));
        cr_expect_eq(file.fd_plus_1, fd, "%s: reopened", c->name);
        cr_assert(case_value(c, true, "memory_limit_bytes", limit, sizeof(limit)));
        uint64_t held = strncmp(text, "max", 3) == 0 ? UNLIMITED : strtoull(text, NULL, 10);
        check_bytes(c->name, "held limit", limit, held);
    } else if (strstr(c->name, "removed") != NULL) {
        cr_expect(gone == -ENOENT || gone == -ENODEV, "%s: %d", c->name, gone);
    }
    sys_file_close(&file);
}

ParameterizedTest(struct case_param *param, cgroup, case_file_is_resolved_as_it_expects)
{
    static struct case_file c;
    static struct found found;
    char root[CASE_PATH_MAX], text[64];
    case_load(&c, param->name);
    case_unpack(&c, root, sizeof(root));
    check_state(&c, false, root, &found);
    if (case_value(&c, false, "memory_limit_bytes_without_search", text, sizeof(text))) {
        find(root, 0, &found);
        check_bytes(c.name, "without search", text, found.memory.hard);
        cr_expect_eq(found.cgroup.memory.confidence, CGROUP_FALLBACK);
    }
    if (case_value(&c, true, "path", text, sizeof(text)))
        check_change(&c, root, &found);
    tree_remove(root);
    case_free(&c);
}
