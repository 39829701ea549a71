/* The public functions of plimsoll.h, see there. */
#include <plimsoll.h>

#include "account.h"
#include "arenas.h"
#include "capacity.h"
#include "control.h"
#include "fmt.h"
#include "heap_profile.h"
#include "look.h"
#include "pressure_fd.h"
#include "reclaimers.h"
#include "runtime.h"
#include "stats.h"
#include "watcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

PLIM_EXPORT enum plim_level plim_level(void)
{
    return (enum plim_level)atomic_load_explicit(&look.level, memory_order_relaxed);
}

/* The program depends on levels or calls: from now on there is a watcher. */
static void listen(void)
{
    atomic_store_explicit(&runtime.listeners, true, memory_order_relaxed);
    watcher_start();
    watcher_wake();
}

PLIM_EXPORT int plim_reclaimer_add(const char *name, plim_reclaim_fn *fn, void *arg,
                                   enum plim_level from)
{
    static _Atomic bool registered;
    if (!runtime_ready())
        return -ENOSYS;
    if (runtime.options.thread == THREAD_OFF)
        return -ENOTSUP;
    int id = reclaimers_add(name, fn, arg, from);
    if (id < 0)
        return id;
    /* Stops them before destructors of what the callbacks use; this library's own would be too
     * late. */
    if (!atomic_exchange_explicit(&registered, true, memory_order_relaxed))
        (void)atexit(reclaimers_stop);
    listen();
    return id;
}

PLIM_EXPORT int plim_reclaimer_remove(int id)
{
    return runtime_ready() ? reclaimers_remove(id) : -ENOSYS;
}

PLIM_EXPORT int plim_pressure_fd(void)
{
    if (!runtime_ready())
        return -ENOSYS;
    int fd = pressure_fd_get();
    if (fd >= 0)
        listen();
    return fd;
}

/* Both structs begin with the size that the caller compiled with; it gets no more than that. */
static int hand_out(void *to, const void *from, size_t size)
{
    size_t room;
    memcpy(&room, to, sizeof(room));
    if (room < sizeof(room))
        return -EINVAL;
    size_t filled = room < size ? room : size;
    memcpy(to, from, filled);
    memcpy(to, &filled, sizeof(filled));
    return 0;
}

PLIM_EXPORT int plim_stats(struct plim_stats *s)
{
    uint64_t v[PAGE_FIELD_COUNT];
    if (!runtime_ready())
        return -ENOSYS;
    struct look_turn turn = look_begin_unless_own(look_wait_ns); /* an arena may be about to go */
    stats_fill(v);
    look_end(turn);
    const struct plim_stats now = {
        .level = (enum plim_level)v[PAGE_LEVEL],
        .cannot_meet_limit = (uint32_t)v[PAGE_CANNOT_MEET],
        .usage = v[PAGE_USAGE],
        .committed = v[PAGE_COMMITTED],
        .active = v[PAGE_ACTIVE],
        .looks = v[PAGE_LOOKS],
        .purges = v[PAGE_PURGES],
        .purged_bytes = v[PAGE_PURGED],
        .reclaimer_calls = v[PAGE_RECLAIMER_CALLS],
        .reclaimer_asked_bytes = v[PAGE_RECLAIMER_ASKED],
        .reclaimer_freed_bytes = v[PAGE_RECLAIMER_FREED],
        .reclaim_cpu_ns = v[PAGE_RECLAIM_CPU],
        .throttle_ns = v[PAGE_THROTTLE],
        .failed_requests = v[PAGE_FAILED_REQUESTS],
        .watcher_wakeups = v[PAGE_WAKEUPS],
    };
    return hand_out(s, &now, sizeof(now));
}

PLIM_EXPORT int plim_limits(struct plim_limits *l)
{
    struct governor_input in;
    struct governor_decision d;
    struct plim_limits now = {0};
    if (!runtime_ready())
        return -ENOSYS;
    now.cpus = plim_cpus();
    struct look_turn turn = look_begin(UINT64_MAX);
    look_locked(0, LOOK_ASIDE, &in, &d);
    now.cgroup_version = (uint32_t)look.usage.cgroup.memory.version;
    now.hard = look.usage.memory.hard;
    now.high = look.usage.memory.high;
    now.soft = in.limits.soft;
    struct fmt path = FMT_INIT(now.path);
    fmt_str(&path, look.usage.cgroup.memory.path);
    look_end(turn);
    watcher_wake(); /* it may be dormant, until a look of an allocating thread: this replaced it */
    return hand_out(l, &now, sizeof(now));
}

PLIM_EXPORT int plim_set_limit(uint64_t bytes)
{
    if (!runtime_ready())
        return -ENOSYS;
    (void)control_set_limit(bytes);
    return 0;
}

PLIM_EXPORT uint64_t plim_reclaim(uint64_t bytes)
{
    if (!runtime_ready())
        return 0;
    uint64_t freed = look_purge(bytes);
    enum plim_level level = plim_level();
    if (level < PLIM_MEDIUM)
        level = PLIM_MEDIUM;
    if (freed >= bytes || reclaimers_inside() || runtime.options.thread == THREAD_OFF ||
        reclaimers_count(level) == 0)
        return freed;
    uint64_t before = atomic_load_explicit(&watcher.given, memory_order_seq_cst);
    if (!watcher_pass(bytes - freed, NS_PER_S))
        return freed;
    freed += atomic_load_explicit(&watcher.given, memory_order_seq_cst) - before;
    return freed < bytes ? freed + look_purge(bytes - freed) : freed;
}

PLIM_EXPORT unsigned plim_cpus(void)
{
    return runtime_ready() ? capacity_cpus() : sys_affinity_cpus();
}

PLIM_EXPORT int plim_heap_profile(const char *path)
{
    return path == NULL ? -EINVAL : heap_profile_write(path);
}
