/* Reads the usage of the limit that binds, see usage.h. */
#include "usage.h"

#include "fmt.h"
#include "read_ahead.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Above this, memory.stat is left to the watcher thread. */
static const uint64_t stat_cheap_ns = 100 * 1000;
/* Refreshing takes no more than a 256th of the time. */
static const uint64_t refresh_share = 256;
static const uint64_t refresh_min_ns = 20 * NS_PER_MS, refresh_max_ns = NS_PER_S;

static uint64_t text_digest(const char *s)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

/* The same text means another cgroup in another namespace. */
static uint64_t membership_digest(void)
{
    char text[2048];
    if (sys_read_file("/proc/self/cgroup", text, sizeof(text)) < 0)
        return 0;
    return text_digest(text) ^ sys_inode("/proc/self/ns/cgroup");
}

/* The user's bytes count for the nearest limit only: further up, siblings are charged as well. */
static struct limits level_limits(const struct usage *u, unsigned index, uint64_t hard)
{
    struct options o = u->options;
    if (index > 0 && o.limit_kind == LIMIT_BYTES) {
        o.limit_kind = LIMIT_PERCENT;
        o.limit = 90 * 1000;
    }
    return limits_from_hard(LIMITS_CGROUP, hard, &o);
}

/* Without a cgroup limit: the machine's memory, or bytes that the user set for this process. */
static struct limits limits_alone(const struct usage *u)
{
    if (u->options.limit_kind != LIMIT_BYTES)
        return limits_from_hard(LIMITS_MACHINE, u->ram, &u->options);
    uint64_t hard = u->options.limit < UNLIMITED / 10 ? u->options.limit * 10 / 9 : UNLIMITED;
    return limits_from_hard(LIMITS_PROCESS, u64_min(hard, u->ram), &u->options);
}

static void close_level(struct usage_level *level)
{
    sys_file_close(&level->charge_file);
    sys_file_close(&level->stat_file);
    sys_file_close(&level->limit_file);
}

static void derive_limits(struct usage *u)
{
    unsigned n = 0;
    for (unsigned i = 0; i < u->memory.level_count; i++) {
        const struct cgroup_level *from = &u->memory.levels[i];
        uint64_t hard = u64_min(from->hard, from->high);
        if (hard >= u->ram)
            continue; /* the machine ends before it does */
        struct usage_level *level = &u->levels[n];
        if (n >= u->level_count || level->path_len != from->path_len) {
            close_level(level);
            level->reclaimable = 0;
            level->limit_seen = from->hard;
            level->charge = level->charge_committed = 0;
        }
        level->path_len = from->path_len;
        level->hard = hard;
        level->limits = level_limits(u, n, hard);
        n++;
    }
    u->level_count = n;
    struct limits alone = limits_alone(u);
    if (alone.source != u->alone.source)
        sys_file_close(&u->alone_file); /* each source reads a file of its own */
    u->alone = alone;
}

/* What was known stays where nothing new can be read: no descriptor left, no /proc (chroot), where
 * all that could be had is a guess. */
static void resolve(struct usage *u, uint64_t membership)
{
    bool guess = membership == 0 && u->cgroup.memory.version != 0;
    if (guess || cgroup_resolve("", (int)getpid(), &u->next_cgroup) < 0 ||
        cgroup_read_memory("", &u->next_cgroup.memory, &u->next_memory) < 0)
        return;
    usage_close_files(u);
    u->level_count = 0;
    u->membership = membership;
    u->cgroup = u->next_cgroup;
    u->resolved++;
    u->memory = u->next_memory;
}

/* Whether a limit that is known has another value than when last asked. One read a level: for every
 * look, since a limit may be lowered to just above what is used. */
static bool limits_changed(struct usage *u)
{
    bool changed = false;
    for (unsigned i = 0; i < u->level_count; i++) {
        struct usage_level *level = &u->levels[i];
        uint64_t limit;
        if (cgroup_read_limit("", &u->cgroup.memory, level->path_len, &level->limit_file, &limit) <
            0)
            continue;
        changed |= limit != level->limit_seen;
        level->limit_seen = limit;
    }
    return changed;
}

/* The charge of a level; where it cannot be read (no descriptor left, the cgroup is being removed),
 * the last that is known, and what the heap has grown or shrunk by since: the limit is there all
 * the same. None known: the heap alone. */
static uint64_t read_charge(struct usage *u, struct usage_level *level, uint64_t committed)
{
    uint64_t charge;
    if (cgroup_read_usage("", &u->cgroup.memory, level->path_len, &level->charge_file, &charge) < 0)
        return u64_less(level->charge + committed, level->charge_committed);
    level->charge = charge;
    level->charge_committed = committed;
    return charge;
}

/* A daemon may change its root, or use up its descriptors, before it has grown enough to be looked
 * at. */
static void open_files(struct usage *u)
{
    for (unsigned i = 0; i < u->level_count; i++)
        (void)read_charge(u, &u->levels[i], 0);
    (void)limits_changed(u);
}

/* A virtual machine may be given memory, or have it taken, while it runs. */
static void read_ram(struct usage *u)
{
    uint64_t ram = sys_ram_bytes();
    if (ram != UNLIMITED) /* else what was known stays */
        u->ram = ram;
}

void usage_init(struct usage *u, const struct options *options)
{
    u->options = *options;
    u->ram = UNLIMITED;
    u->read_ahead = read_ahead_default;
    read_ram(u);
    u->memory = (struct cgroup_memory){.hard = UNLIMITED, .high = UNLIMITED, .swap = UNLIMITED};
    resolve(u, membership_digest());
    derive_limits(u);
    open_files(u);
}

void usage_refresh(struct usage *u)
{
    uint64_t start = sys_now_ns();
    uint64_t membership = membership_digest();
    bool moved = membership != 0 && membership != u->membership;
    struct cgroup_memory *next = &u->next_memory;
    int rc = moved || u->cgroup.memory.version == 0
                 ? -ENOENT
                 : cgroup_read_memory("", &u->cgroup.memory, next);
    if (rc == 0 && (!next->denied || u->memory.denied)) /* else rights were given up since */
        u->memory = *next;
    if (rc == -ENOENT || rc == -ENODEV)
        resolve(u, membership);
    read_ram(u);
    derive_limits(u);
    u->refresh_cost_ns = sys_now_ns() - start;
}

uint64_t usage_refresh_after(const struct usage *u)
{
    return u64_clamp(u->refresh_cost_ns * refresh_share, refresh_min_ns, refresh_max_ns);
}

void usage_set_soft(struct usage *u, const struct options *original, uint64_t bytes)
{
    u->options.limit_kind = bytes == 0 ? original->limit_kind : LIMIT_BYTES;
    u->options.limit = bytes == 0 ? original->limit : bytes;
    derive_limits(u);
}

uint64_t usage_soft(const struct usage *u)
{
    return u->level_count > 0 ? u->levels[0].limits.soft : u->alone.soft;
}

void usage_close_files(struct usage *u)
{
    for (unsigned i = 0; i < USAGE_LEVELS; i++)
        close_level(&u->levels[i]);
    sys_file_close(&u->alone_file);
}

static void read_stat(struct usage *u, struct usage_level *level)
{
    uint64_t start = sys_now_ns();
    (void)cgroup_read_reclaimable("", &u->cgroup.memory, level->path_len, &level->stat_file,
                                  &level->reclaimable); /* else it stays as it was */
    uint64_t cost = sys_now_ns() - start;
    /* Rises at once, fades by an eighth: one slow read in eight is enough to keep off. */
    u->stat_cost_ns = u64_max(cost, u->stat_cost_ns - u->stat_cost_ns / 8);
}

/* The last of the page cache cannot be dropped where readers have it on the way. No more than an
 * eighth of the limit: a large window would leave a small limit no room at all. */
static uint64_t used_of(const struct usage *u, const struct usage_level *level, uint64_t charge)
{
    uint64_t on_the_way = u64_min(u->read_ahead, level->hard / 8);
    return u64_less(charge, u64_less(level->reclaimable, on_the_way));
}

/* How far the level's usage is past its soft limit; negative: room. */
static int64_t excess(const struct usage_sample *s)
{
    return (int64_t)(s->usage - s->limits.soft);
}

static bool read_level(struct usage *u, unsigned index, uint64_t committed, uint64_t request,
                       bool may_block, struct usage_sample *ret)
{
    struct usage_level *level = &u->levels[index];
    if (level->limits.source == LIMITS_NONE)
        return false;
    uint64_t charge = read_charge(u, level, committed);
    *ret = (struct usage_sample){.limits = level->limits, .usage = charge};
    if (charge + u64_min(request, level->limits.hard) < level->limits.low)
        return true; /* far even with everything counted */
    if (may_block || u->stat_cost_ns < stat_cheap_ns) {
        read_stat(u, level);
        ret->usage = used_of(u, level, charge);
        level->anchor_usage = ret->usage;
        level->anchor_committed = committed;
        return true;
    }
    /* The page cache may have shrunk since it was last read: our own growth must show anyway. */
    uint64_t grown = level->anchor_usage + u64_less(committed, level->anchor_committed);
    ret->usage = u64_min(charge, u64_max(grown, used_of(u, level, charge)));
    return true;
}

void usage_memory(struct usage *u, struct memory_size *ret)
{
    uint64_t charge, swapped = 0;
    *ret = (struct memory_size){UNLIMITED, UNLIMITED, u->memory.swap, u->memory.swap};
    for (unsigned i = 0; i < u->level_count; i++) {
        struct usage_level *level = &u->levels[i];
        ret->ram = u64_min(ret->ram, level->hard);
        if (cgroup_read_usage("", &u->cgroup.memory, level->path_len, &level->charge_file,
                              &charge) < 0)
            continue;
        if (u->stat_cost_ns < stat_cheap_ns)
            read_stat(u, level);
        uint64_t used = u64_less(charge, level->reclaimable);
        ret->free = u64_min(ret->free, u64_less(level->hard, used));
    }
    if (u->memory.swap == UNLIMITED || u->memory.swap == 0)
        return;
    if (cgroup_read_swapped("", &u->cgroup.memory, &swapped) == 0)
        ret->swap_free = u64_less(u->memory.swap, swapped);
}

/* "Name:   123 kB" of /proc/meminfo in bytes; 0 if absent. */
static uint64_t meminfo_bytes(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    uint64_t kib = 0;
    if (at == NULL)
        return 0;
    at += strlen(name);
    at += strspn(at, ": \t");
    return fmt_parse_u64(at, NULL, &kib) < 0 ? 0 : kib * KiB;
}

static bool read_alone(struct usage *u, struct usage_sample *ret)
{
    char text[1024];
    *ret = (struct usage_sample){.limits = u->alone, .usage = 0};
    if (u->alone.source == LIMITS_MACHINE) {
        if (sys_file_read(&u->alone_file, "/proc/meminfo", text, sizeof(text)) < 0)
            return false;
        ret->usage = u64_less(meminfo_bytes(text, "MemTotal"), meminfo_bytes(text, "MemAvailable"));
        return true;
    }
    if (u->alone.source != LIMITS_PROCESS)
        return false;
    /* statm: size, resident, shared: pages. Shared ones are file-backed or tmpfs. */
    uint64_t resident, shared;
    const char *at = text;
    if (sys_file_read(&u->alone_file, "/proc/self/statm", text, sizeof(text)) < 0 ||
        fmt_parse_u64(text, &at, &resident) < 0 || fmt_parse_u64(at + 1, &at, &resident) < 0 ||
        fmt_parse_u64(at + 1, NULL, &shared) < 0)
        return false;
    ret->usage = u64_less(resident, shared) * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

void usage_read(struct usage *u, uint64_t committed, uint64_t request, bool may_block,
                struct usage_sample *ret)
{
    struct usage_sample best = {.limits.source = LIMITS_NONE}, s;
    if (may_block && u->level_count > 0 && !u->read_ahead_known) {
        u->read_ahead = read_ahead_largest();
        u->read_ahead_known = true;
    }
    if (limits_changed(u))
        usage_refresh(u);
    for (unsigned i = 0; i < u->level_count; i++) {
        if (!read_level(u, i, committed, request, may_block, &s))
            continue;
        if (best.limits.source == LIMITS_NONE || excess(&s) > excess(&best)) {
            best = s;
            u->binding = i;
        }
    }
    if (best.limits.source == LIMITS_NONE && !read_alone(u, &best))
        best = (struct usage_sample){
            .limits = {LIMITS_NONE, UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED},
            .usage = UNLIMITED,
        };
    *ret = best;
}
