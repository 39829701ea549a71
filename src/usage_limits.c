/*
 * Which limits there are, see usage.h: those of the cgroup's levels, or else the machine's or the
 * process's own. Followed when they change, and when the process is moved.
 */
#include "read_ahead.h"
#include "usage_internal.h"

#include <errno.h>

/* Reads to the file's end: with a dozen v1 hierarchies it may have several KiB, and the one that
 * counts may be the last. The namespace counts, as in another one the same text means another
 * cgroup. */
static uint64_t membership_digest(void)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    char text[1024];
    long got;
    int fd = sys_open("/proc/self/cgroup", 0);
    if (fd < 0)
        return 0;
    while ((got = sys_read(fd, text, sizeof(text))) > 0) {
        for (long i = 0; i < got; i++)
            h = (h ^ (unsigned char)text[i]) * 1099511628211u;
    }
    sys_close(fd);
    return got < 0 ? 0 : h ^ sys_inode("/proc/self/ns/cgroup");
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
    for (unsigned i = 0; cgroup_next_limit(&u->memory, u->ram, &i); i++) {
        const struct cgroup_level *from = &u->memory.levels[i];
        uint64_t hard = cgroup_level_bytes(from);
        struct usage_level *level = &u->levels[n];
        if (n >= u->level_count || level->path_len != from->path_len) {
            close_level(level);
            *level = (struct usage_level){.limit_seen = from->hard};
        }
        level->path_len = from->path_len;
        level->hard = hard;
        level->limits = limits_of_level(n == 0, hard, &u->wish);
        n++;
    }
    u->level_count = n;
    u->alone = limits_alone(u->ram, &u->wish);
}

/* What was known stays where nothing new can be read: no descriptor left, or no /proc (chroot),
 * without which there would only be a guess. */
static void resolve(struct usage *u, uint64_t membership)
{
    bool guess = membership == 0 && u->cgroup.memory.version != 0;
    if (guess || cgroup_resolve("", (int)sys_pid(), &u->next_cgroup) < 0 ||
        cgroup_read_memory("", &u->next_cgroup.memory, &u->next_memory) < 0)
        return;
    usage_close_files(u);
    u->level_count = 0;
    u->membership = membership;
    u->cgroup = u->next_cgroup;
    u->resolved++;
    u->memory = u->next_memory;
}

bool usage_limits_changed(struct usage *u)
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

/* At the start: a daemon may change its root, or use up its descriptors, before it has grown enough
 * for a first look. */
static void open_files(struct usage *u)
{
    for (unsigned i = 0; i < u->level_count; i++)
        (void)usage_charge(u, &u->levels[i], 0);
    (void)usage_limits_changed(u);
    usage_open_alone(u);
}

/* A virtual machine may be given memory, or have it taken, while it runs. */
static void read_ram(struct usage *u)
{
    uint64_t ram = sys_ram_bytes();
    if (ram != UNLIMITED) /* else what was known stays */
        u->ram = ram;
}

void usage_init(struct usage *u, const struct limit_wish *wish)
{
    u->wish = *wish;
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
    if (membership != u->membership && sys_first_thread_gone())
        membership = 0; /* /proc/self now says the root cgroup */
    bool moved = membership != 0 && membership != u->membership;
    struct cgroup_memory *next = &u->next_memory;
    int rc = moved || u->cgroup.memory.version == 0
                 ? -ENOENT
                 : cgroup_read_memory("", &u->cgroup.memory, next);
    if (rc == 0 && (!next->denied || u->memory.denied)) /* otherwise rights were given up since */
        u->memory = *next;
    if (rc == -ENOENT || rc == -ENODEV)
        resolve(u, membership);
    read_ram(u);
    derive_limits(u);
    u->refresh_cost_ns = sys_now_ns() - start;
}

uint64_t usage_pause_ns(uint64_t cost_ns)
{
    return u64_clamp(cost_ns * 256, 20 * NS_PER_MS, NS_PER_S);
}

void usage_set_wish(struct usage *u, const struct limit_wish *wish)
{
    u->wish = *wish;
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
    sys_file_close(&u->machine_file);
    sys_file_close(&u->process_file);
}
