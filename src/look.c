/* One look: acquire, decide, act; and what allocating threads meet at the limit. See runtime.h. */
#include "runtime.h"

#include "arenas.h"
#include "control.h"
#include "log.h"
#include "reclaimers.h"
#include "record.h"

#include <errno.h>
#include <stdlib.h>

/* From a large request's being granted to its pages' being committed, at most. */
static const uint64_t granted_for_ns = 10 * NS_PER_MS;
/* Before a request is refused or the program aborted, reclaimers get this long. */
static const uint64_t last_resort_ns = NS_PER_S;
/* Its holder only reads and purges; it may have been preempted, though. */
static const uint64_t lock_wait_ns = NS_PER_S;
/* Requests from here on may be refused by PLIMSOLL_ON_LIMIT=fail. */
static const size_t large_request = GATE_OPEN;

static void set_level(enum plim_level level)
{
    atomic_store_explicit(&runtime.level, (uint32_t)level, memory_order_relaxed);
    pressure_fd_signal();
    if (log_wanted(LOG_INFO)) {
        static const char *const names[] = {"normal", "low", "medium", "critical"};
        char text[160];
        struct fmt f = FMT_INIT(text);
        fmt_str(&f, "level ");
        fmt_str(&f, names[level]);
        fmt_str(&f, ": usage ");
        fmt_bytes(&f, atomic_load_explicit(&runtime.counters.usage, memory_order_relaxed));
        fmt_str(&f, ", soft limit ");
        fmt_bytes(&f, runtime.limits.soft);
        fmt_str(&f, ", hard limit ");
        fmt_bytes(&f, runtime.limits.hard);
        log_line(LOG_INFO, text);
    }
}

/* Without the watcher nobody calls them. */
static unsigned callable_reclaimers(enum plim_level level)
{
    return runtime.options.thread == THREAD_OFF ? 0 : reclaimers_count(level);
}

/* What a large request will have committed shows in no count before it is served. */
static void note_granted(uint64_t now, uint64_t committed, uint64_t bytes)
{
    uint64_t granted = now - runtime.granted_ns < granted_for_ns ? runtime.granted : 0;
    runtime.granted = u64_max(granted, committed) + bytes;
    runtime.granted_ns = now;
}

static void acquire(uint64_t request, bool on_watcher, struct governor_input *in)
{
    uint64_t now = sys_now_ns();
    struct usage_sample sample;
    struct arenas_pages pages;
    if (now - runtime.refreshed_ns >= usage_refresh_after(&runtime.usage)) {
        if (runtime.refreshed_ns != 0)
            usage_refresh(&runtime.usage);
        runtime.refreshed_ns = now;
    }
    arenas_read(&pages);
    uint64_t meanwhile = atomic_exchange_explicit(&runtime.meanwhile, 0, memory_order_relaxed);
    if (meanwhile > 0)
        note_granted(now, pages.committed, meanwhile);
    usage_read(&runtime.usage, pages.committed, request, on_watcher, &sample);
    *in = (struct governor_input){
        .now_ns = now,
        .limits = sample.limits,
        .usage = sample.usage,
        .committed = pages.committed,
        .active = pages.active,
        .dirty = pages.dirty,
        .request = request,
        .granted = now - runtime.granted_ns < granted_for_ns ? runtime.granted : 0,
        .reclaimers = callable_reclaimers(sample.usage >= sample.limits.critical ? PLIM_CRITICAL
                                                                                 : PLIM_MEDIUM),
        .from_watcher = on_watcher,
        .listeners = atomic_load_explicit(&runtime.listeners, memory_order_relaxed),
    };
    runtime.limits = sample.limits;
    atomic_store_explicit(&runtime.counters.usage, sample.usage, memory_order_relaxed);
    counter_add(&runtime.counters.looks, 1);
}

static uint64_t purge(uint64_t bytes)
{
    uint64_t start = sys_thread_cpu_ns();
    uint64_t freed = arenas_purge(bytes);
    uint64_t cost = sys_thread_cpu_ns() - start;
    governor_spend(&runtime.governor, cost);
    counter_add(&runtime.counters.reclaim_cpu_ns, cost);
    counter_add(&runtime.counters.purges, 1);
    counter_add(&runtime.counters.purged_bytes, freed);
    return freed;
}

uint64_t runtime_purge(uint64_t bytes)
{
    lock_take(&runtime.look_lock);
    arenas_flush_thread_cache();
    uint64_t freed = purge(bytes);
    lock_release(&runtime.look_lock);
    return freed;
}

static void log_look(const struct governor_input *in, const struct governor_decision *d)
{
    char text[300];
    struct fmt f = FMT_INIT(text);
    const struct {
        const char *name;
        uint64_t bytes;
    } parts[] = {
        {"look: usage ", in->usage}, {", committed ", in->committed},  {", dirty ", in->dirty},
        {", request ", in->request}, {", next after ", d->look_after}, {", purge ", d->purge},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        fmt_str(&f, parts[i].name);
        fmt_bytes(&f, parts[i].bytes);
    }
    log_line(LOG_DEBUG, text);
}

/* While a look purges, other threads may use up half of the room there is, then they wait for it.
 */
static void set_stop(const struct governor_input *in)
{
    uint64_t promised = u64_less(in->granted, in->committed) + in->request;
    uint64_t room = in->limits.source == LIMITS_NONE
                        ? (uint64_t)INT64_MAX / 2
                        : u64_less(u64_less(in->limits.hard, in->usage), promised) / 2;
    atomic_store_explicit(&runtime.stop_at, in->committed + room, memory_order_relaxed);
}

void look_locked(uint64_t request, bool on_watcher, struct governor_input *in,
                 struct governor_decision *ret)
{
    acquire(request, on_watcher, in);
    governor_look(&runtime.governor, in, ret);
    set_stop(in);
    if (log_wanted(LOG_DEBUG))
        log_look(in, ret);
    if (ret->flush_caches) {
        atomic_fetch_add_explicit(&runtime.flush_epoch, 1, memory_order_relaxed);
        arenas_flush_thread_cache();
    }
    if (ret->purge > 0)
        (void)purge(ret->purge);
    arenas_set_decay(ret->decay_ms);
    if (ret->level_changed)
        set_level(ret->level);
    /* Near the limit every request passes by, so that every thread empties its cache when asked. */
    account_look_after(ret->look_after, ret->level >= PLIM_LOW ? 0 : GATE_OPEN);
    if (ret->dormant)
        account_look_now(); /* frees do not look: the next allocation tells that the heap lives */
    stats_publish(in);
}

static uint32_t progress_seen(void)
{
    return atomic_load_explicit(&runtime.progress, memory_order_relaxed);
}

/* Sleeps until there is progress since it was `seen`, but not for long. */
static void hold_back(uint32_t seen, uint64_t at_most_ns)
{
    uint64_t start = sys_now_ns();
    (void)sys_futex_wait(&runtime.progress, seen, at_most_ns);
    counter_add(&runtime.counters.throttle_ns, sys_now_ns() - start);
}

void runtime_progress(void)
{
    atomic_fetch_add_explicit(&runtime.progress, 1, memory_order_relaxed);
    (void)sys_futex_wake(&runtime.progress, INT32_MAX);
}

/* Looks again after everything has been tried; true: still no room for the request. */
static bool still_no_room(uint64_t request)
{
    struct governor_input in;
    struct governor_decision d;
    if (!lock_take_within(&runtime.look_lock, last_resort_ns))
        return true;
    look_locked(request, false, &in, &d); /* purges what is left */
    look_locked(request, false, &in, &d); /* and sees what that gave */
    lock_release(&runtime.look_lock);
    return d.no_room;
}

static bool exhausted(uint64_t request)
{
    if (!still_no_room(request))
        return false;
    if (callable_reclaimers(PLIM_CRITICAL) == 0)
        return true;
    uint32_t seen = progress_seen();
    watcher_wake();
    hold_back(seen, last_resort_ns);
    return still_no_room(request);
}

static void abort_at_limit(void)
{
    char text[200];
    struct fmt f = FMT_INIT(text);
    if (!exhausted(0))
        return;
    record_last(&runtime.options, "abort");
    fmt_str(&f, "aborting (PLIMSOLL_ON_LIMIT=abort): usage ");
    fmt_bytes(&f, atomic_load_explicit(&runtime.counters.usage, memory_order_relaxed));
    fmt_str(&f, " of a hard limit of ");
    fmt_bytes(&f, runtime.limits.hard);
    fmt_str(&f, " with nothing left to reclaim");
    log_line(LOG_ERROR, text);
    abort();
}

/* Holds the calling thread back until there is room again or its time is up. */
static void throttle(uint64_t request, struct governor_decision *d)
{
    struct governor_input in;
    uint64_t start = sys_now_ns(), passed = 0;
    uint32_t seen = progress_seen();
    if (d->hold_ns > 0 && callable_reclaimers(PLIM_CRITICAL) > 0)
        watcher_wake(); /* once: each look of its lets us look again */
    while (passed < d->hold_ns) {
        hold_back(seen, d->hold_ns - passed);
        seen = progress_seen();
        if (!lock_take_within(&runtime.look_lock, lock_wait_ns))
            return;
        look_locked(request, false, &in, d);
        lock_release(&runtime.look_lock);
        passed = sys_now_ns() - start;
    }
}

/* There is no room, or nearly none. false: refuse the request. */
static bool at_limit(size_t size, struct governor_decision *d)
{
    switch (runtime.options.on_limit) {
    case ON_LIMIT_NONE:
        return true;
    case ON_LIMIT_THROTTLE:
        throttle(size >= large_request && callable_reclaimers(PLIM_CRITICAL) > 0 ? size : 0, d);
        return true;
    case ON_LIMIT_FAIL:
        throttle(size >= large_request ? size : 0, d);
        if (!d->no_room || size < large_request || (d->hold_ns > 0 && !exhausted(size)))
            return true;
        counter_add(&runtime.counters.failed_requests, 1);
        return false;
    case ON_LIMIT_ABORT:
        if (d->no_room)
            abort_at_limit();
        return true;
    }
    return true;
}

/* Whether the look that is under way will do for this request as well: it leaves room for it and
 * for what was granted likewise meanwhile. Small requests show in the count as soon as they matter.
 */
static bool fits_meanwhile(size_t size)
{
    uint64_t need = size >= large_request ? size : 0;
    uint64_t stop_at = atomic_load_explicit(&runtime.stop_at, memory_order_relaxed);
    do {
        if (account_committed() >= u64_less(stop_at, need))
            return false;
    } while (need > 0 &&
             !atomic_compare_exchange_weak_explicit(&runtime.stop_at, &stop_at, stop_at - need,
                                                    memory_order_relaxed, memory_order_relaxed));
    atomic_fetch_add_explicit(&runtime.meanwhile, need, memory_order_relaxed);
    return true;
}

static bool look(size_t size)
{
    struct governor_input in;
    struct governor_decision d;
    if (!lock_try(&runtime.look_lock) &&
        (fits_meanwhile(size) || !lock_take_within(&runtime.look_lock, lock_wait_ns)))
        return true;
    if (size < account_until_look()) { /* somebody else has just looked */
        lock_release(&runtime.look_lock);
        return true;
    }
    look_locked(size >= large_request ? size : 0, false, &in, &d);
    if (in.request > 0 && in.request < in.limits.hard)
        note_granted(in.now_ns, in.committed, in.request);
    lock_release(&runtime.look_lock);
    control_notice();
    if (!watcher_runs() && record_due(&runtime.options, d.level, in.now_ns))
        record_now(&runtime.options, in.now_ns);
    if (d.heap_matters)
        watcher_start();
    if (d.ask > 0)
        watcher_ask(d.ask);
    if (d.callbacks_due || d.level_changed)
        watcher_wake();
    else if (d.watch_after_ns != UINT64_MAX)
        watcher_wake_by(in.now_ns + d.watch_after_ns);
    return d.hold_ns > 0 || d.no_room ? at_limit(size, &d) : true;
}

static bool flush_wanted(void)
{
    return thread_state.flush_epoch !=
           atomic_load_explicit(&runtime.flush_epoch, memory_order_relaxed);
}

static void flush(void)
{
    thread_state.flush_epoch = atomic_load_explicit(&runtime.flush_epoch, memory_order_relaxed);
    arenas_flush_thread_cache();
}

bool runtime_admit(size_t size)
{
    if (!runtime_ready() || thread_state.inside)
        return true;
    bool due = size >= account_until_look();
    if (likely(!due && !flush_wanted()))
        return true;
    int saved_errno = errno;
    thread_state.inside = true;
    if (flush_wanted())
        flush();
    bool admitted = due ? look(size) : true;
    thread_state.inside = false;
    errno = saved_errno;
    return admitted;
}

void runtime_pass_by(void)
{
    if (likely(!flush_wanted()) || thread_state.inside)
        return;
    int saved_errno = errno;
    thread_state.inside = true;
    flush();
    thread_state.inside = false;
    errno = saved_errno;
}
