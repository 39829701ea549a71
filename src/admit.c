/* Where the gate stops an allocating thread, see runtime.h. */
#include "runtime.h"

#include "arenas.h"
#include "control.h"
#include "notify.h"
#include "record.h"

#include <errno.h>

/* Whether the look that is under way will do for this request as well: it leaves room for it and
 * for what was granted likewise meanwhile. Small requests show in the count as soon as they matter.
 */
static bool fits_meanwhile(size_t size)
{
    uint64_t need = size >= LARGE_REQUEST ? size : 0;
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

/* While others take from the same room, so many free pages are looked at so often. */
static const uint64_t freed_worth = MiB;
static const uint64_t freed_pause_ns = 5 * NS_PER_MS;
/* A thread allocates so much from one jemalloc event to the next. */
static const uint64_t refilled_bytes = 64 * KiB;
/* Most of that is nothing but reuse: no look that soon after another. */
static const uint64_t refilled_pause_ns = NS_PER_MS / 4;

/* What other threads are to do after a look. */
static void after_look(const struct governor_input *in, const struct governor_decision *d)
{
    control_notice();
    if (record_due(&runtime.options, d->level, in->now_ns) && !watcher_runs() && runtime_is_ours())
        record_now(&runtime.options, in->now_ns);
    if (d->heap_matters || notify_outer() != NULL)
        watcher_start();
    if (d->ask > 0)
        watcher_ask(d->ask);
    if (d->callbacks_due || d->level_changed)
        watcher_wake();
    else if (d->watch_after_ns != UINT64_MAX)
        watcher_wake_by(in->now_ns + d->watch_after_ns);
}

/* There is no watcher to see what is left after the purge. */
static void meets(const struct governor_input *in, const struct governor_decision *d)
{
    struct governor_input after = *in;
    uint64_t purged = u64_min(d->purge, in->dirty);
    after.dirty -= purged;
    after.usage = u64_less(in->usage, purged);
    look_meets(&after);
}

static bool look(size_t size)
{
    struct governor_input in;
    struct governor_decision d;
    struct look_turn turn = look_begin(0);
    if (!turn.had && !fits_meanwhile(size))
        turn = look_begin(look_wait_ns);
    if (!turn.had)
        return true;
    if (size < account_until_look()) { /* somebody else has just looked */
        look_end(turn);
        return true;
    }
    look_locked(size >= LARGE_REQUEST ? size : 0, false, &in, &d);
    if (in.request > 0 && in.request < in.limits.hard)
        look_granted(in.now_ns, in.committed, in.request);
    if (!watcher_runs() && (d.heap_matters || runtime.governor.cannot_meet))
        meets(&in, &d);
    look_end(turn);
    after_look(&in, &d);
    return d.hold_ns > 0 || d.no_room ? at_limit(size, &d) : true;
}

static void flush(void)
{
    thread_state.flush_epoch = atomic_load_explicit(&runtime.flush_epoch, memory_order_relaxed);
    arenas_flush_thread_cache();
}

/* A look was due, and is not any more: pages have been given back before anybody came by. */
static void reopen(void)
{
    if (gate_stops(0) && atomic_load_explicit(&runtime.level, memory_order_relaxed) == PLIM_NORMAL)
        account_open_gate(GATE_OPEN);
}

bool runtime_admit(size_t size)
{
    if (!runtime_ready() || thread_state.inside)
        return true;
    bool due = size >= account_until_look();
    if (likely(!due && !runtime_flush_wanted())) {
        reopen();
        return true;
    }
    int saved_errno = errno;
    thread_state.inside = true;
    if (runtime_flush_wanted())
        flush();
    bool admitted = due ? look(size) : true;
    thread_state.inside = false;
    errno = saved_errno;
    return admitted;
}

void runtime_flush(void)
{
    if (thread_state.inside)
        return;
    int saved_errno = errno;
    thread_state.inside = true;
    flush();
    thread_state.inside = false;
    errno = saved_errno;
}

/* Much more is free than at the last look, or others may have used up since what room there was.
 * Call with look_lock held. */
static bool freed_due(void)
{
    uint64_t free = arenas_free();
    uint64_t looked = atomic_load_explicit(&runtime.looked_ns, memory_order_relaxed);
    if (free >= atomic_load_explicit(&runtime.look_freed, memory_order_relaxed))
        return true;
    return free >= freed_worth && sys_now_ns() - looked >= freed_pause_ns;
}

void runtime_freed(void)
{
    struct governor_input in;
    struct governor_decision d;
    if (!runtime_ready() || thread_state.inside)
        return;
    int saved_errno = errno;
    thread_state.inside = true;
    struct look_turn turn = look_begin(0);
    bool due = turn.had && freed_due();
    if (due)
        look_locked(0, false, &in, &d);
    if (turn.had)
        look_end(turn);
    if (due)
        after_look(&in, &d);
    thread_state.inside = false;
    errno = saved_errno;
}

/* All of it may be pages that were given back: others stop for a look that is under way as if it
 * had been committed. */
void runtime_refilled(void)
{
    uint64_t pause_ns = atomic_load_explicit(&runtime.look_refilled_ns, memory_order_relaxed);
    uint64_t stop_at = atomic_load_explicit(&runtime.stop_at, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&runtime.stop_at, &stop_at,
                                                  u64_less(stop_at, refilled_bytes),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    if (account_committed() >= u64_less(stop_at, refilled_bytes))
        pause_ns = u64_min(pause_ns, refilled_pause_ns);
    uint64_t looked_ns = atomic_load_explicit(&runtime.looked_ns, memory_order_relaxed);
    if (u64_less(sys_now_ns(), looked_ns) >= pause_ns)
        account_look_now();
}
