/* What is charged to a level: usage, the part that the kernel reclaims by itself, OOM kills. */
#include "cgroup_internal.h"
#include "fmt.h"

#include <errno.h>
#include <string.h>

int level_stat(const char *root, const struct cgroup_dir *dir, size_t path_len,
               struct sys_file *file, const char *const *keys, uint64_t *values, unsigned count,
               unsigned *ret_found)
{
    /* memory.stat has 1 to 2 KiB. Not on the stack: this runs on threads that have 16 KiB in all.
     */
    static char text[8 * 1024];
    int rc = level_read_file(root, dir, path_len, "memory.stat", file, text, sizeof(text));
    if (rc < 0)
        return rc;
    *ret_found = fmt_scan_keys(text, keys, values, count);
    return 0;
}

/* One number, through a held file unless that is NULL. */
static int read_number(const char *root, const struct cgroup_dir *dir, size_t path_len,
                       const char *name, struct sys_file *file, uint64_t *ret)
{
    char text[64];
    const char *at = text;
    int rc = level_read_file(root, dir, path_len, name, file, text, sizeof(text));
    return rc < 0 ? rc : limit_parse(&at, ret);
}

int cgroup_read_usage(const char *root, const struct cgroup_dir *dir, size_t path_len,
                      struct sys_file *file, uint64_t *ret_bytes)
{
    const char *name = dir->version == 1 ? "memory.usage_in_bytes" : "memory.current";
    return read_number(root, dir, path_len, name, file, ret_bytes);
}

int cgroup_read_limit(const char *root, const struct cgroup_dir *dir, size_t path_len,
                      struct sys_file *file, uint64_t *ret_bytes)
{
    const char *name = dir->version == 1 ? "memory.limit_in_bytes" : "memory.max";
    return read_number(root, dir, path_len, name, file, ret_bytes);
}

static uint64_t sum_found(const uint64_t *values, unsigned found)
{
    uint64_t sum = 0;
    for (unsigned i = 0; found >> i != 0; i++) {
        if ((found >> i & 1) != 0 && __builtin_add_overflow(sum, values[i], &sum))
            return UNLIMITED;
    }
    return sum;
}

int cgroup_read_reclaimable(const char *root, const struct cgroup_dir *dir, size_t path_len,
                            struct sys_file *file, uint64_t *ret_bytes)
{
    static const char *const keys[] = {"inactive_file", "active_file", "slab_reclaimable",
                                       "total_inactive_file", "total_active_file"};
    enum { V2 = 7, V1_OWN = 3, V1_TOTAL = 24 };
    uint64_t values[ARRAY_LEN(keys)];
    unsigned found;
    int rc = level_stat(root, dir, path_len, file, keys, values, ARRAY_LEN(keys), &found);
    if (rc < 0)
        return rc;
    unsigned use = dir->version == 1 ? V1_OWN : V2;
    if (dir->version == 1 && (found & V1_TOTAL) != 0)
        use = V1_TOTAL;
    *ret_bytes = sum_found(values, found & use);
    return 0;
}

int cgroup_read_swapped(const char *root, const struct cgroup_dir *dir, uint64_t *ret_bytes)
{
    static const char *const keys[] = {"swap", "total_swap"};
    size_t own = strlen(dir->path);
    uint64_t values[ARRAY_LEN(keys)];
    unsigned found;
    if (dir->version != 1)
        return read_number(root, dir, own, "memory.swap.current", NULL, ret_bytes);
    int rc = level_stat(root, dir, own, NULL, keys, values, ARRAY_LEN(keys), &found);
    if (rc < 0)
        return rc;
    if (found == 0)
        return -ENODATA;
    *ret_bytes = (found & 2) != 0 ? values[1] : values[0]; /* children are part of it */
    return 0;
}

static bool swaps(const char *root, const struct cgroup_dir *dir)
{
    char path[CGROUP_PATH_MAX], text[64];
    struct fmt f = FMT_INIT(path);
    uint64_t swappiness;
    if (dir->version == 1)
        return read_number(root, dir, strlen(dir->path), "memory.swappiness", NULL, &swappiness) ==
                   0 &&
               swappiness > 0;
    fmt_str(&f, root);
    fmt_str(&f, "/proc/sys/vm/swappiness");
    return sys_read_file(path, text, sizeof(text)) > 0 &&
           fmt_parse_u64(text, NULL, &swappiness) == 0 && swappiness > 0;
}

/* On v1 the limit is on memory and swap together. A level without such a file sets no limit. */
uint64_t cgroup_swap_room(const char *root, const struct cgroup_dir *dir)
{
    const bool v1 = dir->version == 1;
    const char *limit_name = v1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max";
    const char *used_name = v1 ? "memory.memsw.usage_in_bytes" : "memory.swap.current";
    size_t len = strlen(dir->path);
    uint64_t room = UNLIMITED, limit, used;
    if (!swaps(root, dir))
        return 0;
    do {
        if (read_number(root, dir, len, limit_name, NULL, &limit) < 0 || limit == UNLIMITED)
            continue;
        if (read_number(root, dir, len, used_name, NULL, &used) < 0)
            return 0;
        room = u64_min(room, u64_less(limit, used));
    } while (cgroup_level_up(dir, &len));
    return room;
}

int cgroup_read_oom_kills(const char *root, const struct cgroup_dir *dir, size_t path_len,
                          uint64_t *ret)
{
    static const char *const key = "oom_kill";
    char text[512];
    uint64_t value;
    const char *name = dir->version == 1 ? "memory.oom_control" : "memory.events";
    int rc = level_read_file(root, dir, path_len, name, NULL, text, sizeof(text));
    if (rc < 0)
        return rc;
    if (fmt_scan_keys(text, &key, &value, 1) == 0)
        return -ENODATA;
    *ret = value;
    return 0;
}

uint64_t cgroup_ram_bytes(const char *root)
{
    static const char *const key = "MemTotal";
    char path[CGROUP_PATH_MAX], text[2048];
    struct fmt f = FMT_INIT(path);
    uint64_t kib;
    if (root[0] == '\0')
        return sys_ram_bytes();
    fmt_str(&f, root);
    fmt_str(&f, "/proc/meminfo");
    if (sys_read_file(path, text, sizeof(text)) < 0)
        return UNLIMITED;
    return fmt_scan_keys(text, &key, &kib, 1) != 0 && kib < UNLIMITED / KiB ? kib * KiB : UNLIMITED;
}
