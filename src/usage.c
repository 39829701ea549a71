/* How much is used, of the limit that binds, see usage.h. */
#include "fmt.h"
#include "read_ahead.h"
#include "usage_internal.h"

#include <fcntl.h>

/* Above this, memory.stat is not read at every look of an allocating thread. */
static const uint64_t stat_cheap_ns = 100 * 1000;
/* A reader of files that has to wait for memory or its disk reads on within this time. */
static const uint64_t lately_for_ns = NS_PER_S;

static const char process_file[] = "/proc/self/statm";

uint64_t usage_charge(struct usage *u, struct usage_level *level, uint64_t committed)
{
    uint64_t charge;
    if (cgroup_read_usage("", &u->cgroup.memory, level->path_len, &level->charge_file, &charge) < 0)
        return u64_less(level->charge + committed, level->charge_committed);
    level->charge = charge;
    level->charge_committed = committed;
    return charge;
}

/* The last of the page cache may be on its way from a disk, which cannot be dropped. Between two
 * read-ahead windows there is little of it, and the next comes whole: so the most of late counts.
 * At most an eighth of the limit: a large window would leave a small limit no room at all. */
static void note_on_the_way(const struct usage *u, struct usage_level *level, uint64_t now)
{
    uint64_t most = u64_min(u->read_ahead, level->hard / 8);
    uint64_t on_the_way = u64_min(level->reclaimable, most);
    if (on_the_way >= level->on_the_way || now - level->on_the_way_ns >= lately_for_ns) {
        level->on_the_way = on_the_way;
        level->on_the_way_ns = now;
    }
}

/* Returns the time. */
static uint64_t read_stat(struct usage *u, struct usage_level *level)
{
    uint64_t start = sys_now_ns();
    (void)cgroup_read_reclaimable("", &u->cgroup.memory, level->path_len, &level->stat_file,
                                  &level->reclaimable); /* else it stays as it was */
    uint64_t now = sys_now_ns();
    note_on_the_way(u, level, now);
    /* Rises at once, fades by an eighth: one slow read in eight is enough to keep off. */
    level->stat_cost_ns = u64_max(now - start, level->stat_cost_ns - level->stat_cost_ns / 8);
    return now;
}

/* Where memory.stat is slow, allocating threads read it now and then all the same: there may be no
 * watcher, and one reading that was preempted would be the last. */
static bool stat_is_due(const struct usage_level *level)
{
    return level->stat_cost_ns < stat_cheap_ns ||
           sys_now_ns() - level->anchor_ns >= usage_pause_ns(level->stat_cost_ns);
}

/* How far past its soft limit the level would be, in millionths of its hard limit; negative: room.
 * Not in bytes: the last tenth of a small limit is few bytes, and as urgent. */
static int64_t excess(const struct usage_sample *s, uint64_t request)
{
    const uint64_t million = 1000 * 1000, hard = s->limits.hard;
    uint64_t projected = s->usage + u64_min(request, hard), soft = s->limits.soft;
    if (hard == 0)
        return INT64_MAX;
    return projected >= soft ? (int64_t)u64_share(projected - soft, million, hard)
                             : -(int64_t)u64_share(soft - projected, million, hard);
}

static bool read_level(struct usage *u, unsigned index, uint64_t committed, uint64_t request,
                       bool may_block, struct usage_sample *ret)
{
    struct usage_level *level = &u->levels[index];
    if (level->limits.source == LIMITS_NONE)
        return false;
    uint64_t charge = usage_charge(u, level, committed);
    *ret = (struct usage_sample){.limits = level->limits, .usage = charge};
    if (charge + u64_min(request, level->limits.hard) < level->limits.low)
        return true; /* far even with everything counted */
    if (may_block && !u->read_ahead_known) {
        u->read_ahead = read_ahead_largest();
        u->read_ahead_known = true;
    }
    if (may_block || stat_is_due(level)) {
        level->anchor_ns = read_stat(u, level);
        level->anchor_usage = u64_less(charge, level->reclaimable);
        level->anchor_committed = committed;
    }
    /* The page cache may have shrunk since it was last read: our own growth must show anyway. */
    uint64_t grown = level->anchor_usage + u64_less(committed, level->anchor_committed);
    ret->usage = u64_min(charge, u64_max(grown, u64_less(charge, level->reclaimable)));
    ret->on_the_way = level->on_the_way;
    return true;
}

/* What is used and the kernel can still move to swap, before it kills. */
static uint64_t swap_room(const struct usage *u)
{
    uint64_t room = sys_swap_free();
    if (room == 0 || sys_maps_locked()) /* such a heap stays in memory */
        return 0;
    return u64_min(room, cgroup_swap_room("", &u->cgroup.memory));
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
        (void)read_stat(u, level);
        uint64_t used = u64_less(charge, level->reclaimable);
        ret->free = u64_min(ret->free, u64_less(level->hard, used));
    }
    if (u->memory.swap == UNLIMITED || u->memory.swap == 0)
        return;
    if (cgroup_read_swapped("", &u->cgroup.memory, &swapped) == 0)
        ret->swap_free = u64_less(u->memory.swap, swapped);
}

void usage_open_process(struct usage *u)
{
    if (u->process_pid == sys_pid())
        return;
    sys_file_close(&u->process_file);
    u->process_pid = sys_pid();
    (void)sys_file_open(&u->process_file, process_file, O_RDONLY | O_NONBLOCK);
}

void usage_open_alone(struct usage *u)
{
    if (u->level_count == 0 && u->alone.source == LIMITS_PROCESS)
        usage_open_process(u);
}

uint64_t usage_resident(struct usage *u)
{
    /* size, resident, shared: pages. Shared ones are file-backed or tmpfs. */
    uint64_t resident, shared;
    char text[128];
    const char *at = text;
    long rc = u->process_pid == sys_pid()
                  ? sys_file_read(&u->process_file, process_file, text, sizeof(text))
                  : sys_read_file(process_file, text, sizeof(text));
    if (rc < 0)
        return UNLIMITED;
    if (text[0] == '0') /* see sys_first_thread_gone() */
        (void)sys_read_file("/proc/thread-self/statm", text, sizeof(text));
    if (fmt_parse_u64(text, &at, &resident) == 0 && fmt_parse_u64(at + 1, &at, &resident) == 0 &&
        fmt_parse_u64(at + 1, NULL, &shared) == 0)
        return u64_less(resident, shared) * sys_page_size();
    return UNLIMITED;
}

/* Leaves *ret alone where neither limits, or nothing can be read of the machine. */
static void read_alone(struct usage *u, uint64_t committed, struct usage_sample *ret)
{
    static const char *const keys[] = {"MemTotal", "MemAvailable"};
    uint64_t kib[ARRAY_LEN(keys)] = {0};
    char text[1024];
    if (u->alone.source == LIMITS_PROCESS) {
        uint64_t resident = usage_resident(u);
        ret->usage = resident != UNLIMITED ? resident : committed;
        ret->limits = u->alone;
    } else if (u->alone.source == LIMITS_MACHINE &&
               sys_file_read(&u->machine_file, "/proc/meminfo", text, sizeof(text)) >= 0) {
        (void)fmt_scan_keys(text, keys, kib, ARRAY_LEN(keys));
        ret->usage = u64_less(kib[0], kib[1]) * KiB;
        ret->limits = u->alone;
    }
}

void usage_read(struct usage *u, uint64_t committed, uint64_t request, bool may_block,
                struct usage_sample *ret)
{
    struct usage_sample best = {.limits = limits_none, .usage = UNLIMITED}, s;
    uint64_t room = UNLIMITED;
    if (usage_limits_changed(u))
        usage_refresh(u);
    for (unsigned i = 0; i < u->level_count; i++) {
        if (!read_level(u, i, committed, request, may_block, &s))
            continue;
        room = u64_min(room, u64_less(s.limits.hard, s.usage));
        if (best.limits.source == LIMITS_NONE || excess(&s, request) > excess(&best, request)) {
            best = s;
            u->binding = i;
        }
    }
    if (best.limits.source == LIMITS_CGROUP &&
        best.usage + u64_min(request, best.limits.hard) >= best.limits.critical)
        best.swap_room = swap_room(u);
    best.nearer = u64_less(u64_less(best.limits.hard, best.usage), room);
    if (best.limits.source == LIMITS_NONE)
        read_alone(u, committed, &best);
    *ret = best;
}
