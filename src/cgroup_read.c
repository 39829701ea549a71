/* Limits: memory and CPU quota over all levels from the process's own cgroup up to the mount. */
#include "cgroup_internal.h"
#include "fmt.h"

#include <errno.h>
#include <string.h>

/* v1 writes "no limit" as the largest multiple of the page size, which differs by page size and
 * kernel: this and more is none. */
static const uint64_t limit_none = (uint64_t)1 << 62;

int limit_parse(const char **text, uint64_t *ret)
{
    const char *s = *text + strspn(*text, " \t");
    bool negative = *s == '-';
    uint64_t v;
    if (strncmp(s, "max", 3) == 0) {
        v = UNLIMITED;
        s += 3;
    } else {
        s += negative;
        int rc = fmt_parse_u64(s, NULL, &v);
        if (rc == -EINVAL)
            return rc;
        if (rc < 0 || negative || v >= limit_none)
            v = UNLIMITED;
        s += strspn(s, "0123456789");
    }
    if (*s != '\0' && strchr(" \t\r\n", *s) == NULL)
        return -EINVAL;
    *text = s;
    *ret = v;
    return 0;
}

/* UNLIMITED as well where there is no such file, or it cannot be read or makes no sense. */
static int read_limit(const char *root, const struct cgroup_dir *dir, size_t path_len,
                      const char *name, uint64_t *ret)
{
    char buf[64];
    const char *text = buf;
    *ret = UNLIMITED;
    int rc = level_read(root, dir, path_len, name, buf, sizeof(buf));
    return rc < 0 ? rc : limit_parse(&text, ret);
}

static void add_level(struct cgroup_memory *memory, size_t path_len, uint64_t hard, uint64_t high)
{
    memory->hard = u64_min(memory->hard, hard);
    memory->high = u64_min(memory->high, high);
    if (hard == UNLIMITED && high == UNLIMITED)
        return;
    struct cgroup_level *last =
        memory->level_count > 0 ? &memory->levels[memory->level_count - 1] : NULL;
    if (last == NULL || (last->path_len != path_len && memory->level_count < CGROUP_LEVELS_MAX)) {
        memory->levels[memory->level_count++] = (struct cgroup_level){hard, high, path_len};
        return;
    }
    if (u64_min(hard, high) < u64_min(last->hard, last->high))
        last->path_len = path_len;
    last->hard = u64_min(last->hard, hard);
    last->high = u64_min(last->high, high);
}

/* The level's own limit. Returns 0, or why it is gone. */
static int read_hard(const char *root, const struct cgroup_dir *dir, size_t path_len,
                     const char *name, struct cgroup_memory *memory, uint64_t *ret)
{
    int rc = read_limit(root, dir, path_len, name, ret);
    if (dir->path[path_len] == '\0')
        memory->denied = rc == -EACCES || rc == -EPERM;
    return level_gone(root, dir, path_len, rc);
}

static int read_memory_v2(const char *root, const struct cgroup_dir *dir,
                          struct cgroup_memory *memory)
{
    size_t len = strlen(dir->path);
    uint64_t hard, high, swap;
    do {
        int rc = read_hard(root, dir, len, "memory.max", memory, &hard);
        if (rc >= 0)
            rc = level_gone(root, dir, len, read_limit(root, dir, len, "memory.high", &high));
        if (rc < 0)
            return rc;
        add_level(memory, len, hard, high);
        read_limit(root, dir, len, "memory.swap.max", &swap);
        memory->swap = u64_min(memory->swap, swap);
    } while (cgroup_level_up(dir, &len));
    return 0;
}

/* Before Linux 5.11 a cgroup was charged for its children only if its use_hierarchy said so, and
 * then all below said the same. */
static bool binds_below(const char *root, const struct cgroup_dir *dir, size_t path_len)
{
    uint64_t use;
    return read_limit(root, dir, path_len, "memory.use_hierarchy", &use) < 0 || use != 0;
}

/* The smallest limits over all levels, from memory.stat of the lowest level that has one. */
static int read_hierarchical(const char *root, const struct cgroup_dir *dir, uint64_t *ret_memory,
                             uint64_t *ret_memsw)
{
    static const char *const keys[] = {"hierarchical_memory_limit", "hierarchical_memsw_limit"};
    uint64_t values[2];
    size_t len = strlen(dir->path);
    *ret_memory = *ret_memsw = UNLIMITED;
    do {
        unsigned found;
        int rc = level_stat(root, dir, len, NULL, keys, values, 2, &found);
        if (level_gone(root, dir, len, rc) < 0)
            return rc;
        if (rc < 0)
            continue;
        if ((found & 1) != 0 && values[0] < limit_none)
            *ret_memory = values[0];
        if ((found & 2) != 0 && values[1] < limit_none)
            *ret_memsw = values[1];
        return 0;
    } while (cgroup_level_up(dir, &len));
    return 0;
}

/* The topmost visible directory is the hierarchy's own root: nothing above it can set limits.
 * Saves reading memory.stat, which costs much where there are many cgroups. */
static bool top_is_root(const char *root, const struct cgroup_dir *dir)
{
    char buf[2];
    return level_read(root, dir, dir->mount_len, "release_agent", buf, sizeof(buf)) == 0;
}

static int read_memory_v1(const char *root, const struct cgroup_dir *dir,
                          struct cgroup_memory *memory)
{
    size_t own = strlen(dir->path), len = own;
    uint64_t hard, memsw, memsw_min = UNLIMITED;
    do {
        int rc = read_hard(root, dir, len, "memory.limit_in_bytes", memory, &hard);
        if (rc < 0)
            return rc;
        if (hard == UNLIMITED) /* so is the larger one, on memory and swap together */
            continue;
        read_limit(root, dir, len, "memory.memsw.limit_in_bytes", &memsw);
        if (len != own && !binds_below(root, dir, len))
            break;
        add_level(memory, len, hard, UNLIMITED);
        memsw_min = u64_min(memsw_min, memsw);
    } while (cgroup_level_up(dir, &len));
    if (!top_is_root(root, dir)) {
        int rc = read_hierarchical(root, dir, &hard, &memsw);
        if (rc < 0)
            return rc;
        if (hard < memory->hard)
            add_level(memory, dir->mount_len, hard, UNLIMITED);
        memsw_min = u64_min(memsw_min, memsw);
    }
    if (memsw_min != UNLIMITED && memory->hard != UNLIMITED)
        memory->swap = u64_less(memsw_min, memory->hard);
    return 0;
}

int cgroup_read_memory(const char *root, const struct cgroup_dir *dir, struct cgroup_memory *ret)
{
    struct cgroup_memory memory;
    memory.hard = memory.high = memory.swap = UNLIMITED;
    memory.level_count = 0;
    memory.denied = false;
    int rc = 0;
    if (dir->path[0] != '\0' && dir->version == 2)
        rc = read_memory_v2(root, dir, &memory);
    else if (dir->path[0] != '\0' && dir->version == 1)
        rc = read_memory_v1(root, dir, &memory);
    if (rc == 0)
        *ret = memory;
    return rc;
}

/* text: "quota period", or the quota alone where period_text is given. */
static uint64_t to_millicpus(const char *text, const char *period_text)
{
    uint64_t quota, period = 100000; /* the kernel's default */
    if (limit_parse(&text, &quota) < 0 || quota == UNLIMITED || quota == 0)
        return UNLIMITED;
    const char *rest = period_text != NULL ? period_text : text;
    if (rest[strspn(rest, " \t\r\n")] != '\0' &&
        (limit_parse(&rest, &period) < 0 || period == 0 || period == UNLIMITED))
        return UNLIMITED;
    unsigned __int128 scaled = (unsigned __int128)quota * 1000;
    uint64_t down = (uint64_t)(scaled / period);
    uint64_t left = (uint64_t)(scaled % period);
    /* A little more than a whole number of CPUs still uses one CPU more. */
    return down + (left > 0 && (left >= period - left || down % 1000 == 0));
}

int cgroup_read_cpu(const char *root, const struct cgroup_dir *dir, uint64_t *ret_millicpus)
{
    bool v1 = dir->version == 1;
    const char *name = v1 ? "cpu.cfs_quota_us" : "cpu.max";
    size_t len = strlen(dir->path);
    uint64_t least = UNLIMITED;
    char quota[64], period[64];
    if (len == 0 || dir->version == 0) {
        *ret_millicpus = UNLIMITED;
        return 0;
    }
    do {
        int rc = level_read(root, dir, len, name, quota, sizeof(quota));
        if (level_gone(root, dir, len, rc) < 0)
            return rc;
        if (rc < 0)
            continue;
        period[0] = '\0';
        if (v1 && quota[0] != '-')
            (void)level_read(root, dir, len, "cpu.cfs_period_us", period, sizeof(period));
        least = u64_min(least, to_millicpus(quota, v1 ? period : NULL));
    } while (cgroup_level_up(dir, &len));
    *ret_millicpus = least;
    return 0;
}

unsigned cgroup_effective_cpus(unsigned affinity, uint64_t quota_millicpus)
{
    uint64_t quota = quota_millicpus / 1000 + (quota_millicpus % 1000 != 0);
    uint64_t cpus = u64_min(affinity, quota);
    return cpus > 0 ? (unsigned)cpus : 1;
}

/* A memory.high of 0 is set to have the kernel take back whatever it can just now. No process can
 * live within it, so it does not count; memory.max still kills. */
uint64_t cgroup_level_bytes(const struct cgroup_level *level)
{
    return level->high == 0 ? level->hard : u64_min(level->hard, level->high);
}

bool cgroup_next_limit(const struct cgroup_memory *memory, uint64_t ram, unsigned *at)
{
    while (*at < memory->level_count && cgroup_level_bytes(&memory->levels[*at]) >= ram)
        ++*at;
    return *at < memory->level_count;
}

uint64_t cgroup_effective_bytes(const struct cgroup_memory *memory, uint64_t ram)
{
    uint64_t bytes = ram;
    for (unsigned i = 0; i < memory->level_count; i++)
        bytes = u64_min(bytes, cgroup_level_bytes(&memory->levels[i]));
    return bytes;
}
