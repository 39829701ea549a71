/* Where the gate stops an allocating thread, see admit.h. */
#include "admit.h"

#include "arenas.h"
#include "at_limit.h"
#include "control.h"
#include "look.h"
#include "notify.h"
#include "record.h"
#include "runtime.h"
#include "watcher.h"

#include <errno.h>

struct admit admit = {.low_at = UINT64_MAX};

/* Promises this request if, with it and all others that are promised, less than `most` is taken.
 * Smaller ones show in the count of pages as soon as they matter. */
static bool promise_within(size_t size, uint64_t most)
{
    if (size >= LARGE_REQUEST)
        return size < most && requests_promise_within(size, most);
    return size < most && requests_promised() < most - size;
}

/* Takes this request's share of the room that threads have while a look is under way; false: too
 * little is left. */
static bool take_meanwhile(size_t size)
{
    uint64_t stop_at = atomic_load_explicit(&admit.stop_at, memory_order_relaxed);
    return promise_within(size, u64_less(stop_at, account_committed()));
}

/* While others take from the same room, a look is due at this interval as long as this much is
 * free. */
static const uint64_t freed_worth = MiB;
static const uint64_t freed_pause_ns = 5 * NS_PER_MS;
/* A thread finds that out, under the lock, at every so many of jemalloc's events: 512 KiB. */
static const uint32_t events_apart = 8;
/* What a thread allocates between two of jemalloc's events. */
static const uint64_t refilled_bytes = 64 * KiB;
/* Most of that is nothing but reuse: no look on its account sooner than this after another. */
static const uint64_t refilled_pause_ns = NS_PER_MS / 4;

/* What follows a look, on other threads above all. */
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

/* Without a watcher this thread judges what will be left after the purge. */
static void meets(const struct governor_input *in, const struct governor_decision *d)
{
    struct governor_input after = *in;
    uint64_t purged = u64_min(d->purge, in->dirty);
    after.dirty -= purged;
    after.usage = u64_less(in->usage, purged);
    look_meets(&after);
}

static bool look_due(size_t size)
{
    struct governor_input in;
    struct governor_decision d;
    uint32_t progress = at_limit_progress_seen();
    struct look_turn turn = look_begin(0);
    if (!turn.had && !take_meanwhile(size))
        turn = look_begin(look_wait_ns);
    if (!turn.had)
        return true;
    if (promise_within(size, account_until_look())) { /* somebody else has just looked */
        look_end(turn);
        return true;
    }
    look_locked(size >= LARGE_REQUEST ? size : 0, LOOK_BY_GROWTH, &in, &d);
    if (!in.watched && (d.heap_matters || look.governor.cannot_meet))
        meets(&in, &d);
    look_end(turn);
    after_look(&in, &d);
    if ((d.hold_ns > 0 || d.no_room) && !at_limit_admit(size, progress, &d))
        return false;
    if (in.request < in.limits.hard)
        requests_promise(in.request); /* its time was up, else that is done */
    return true;
}

/* For a thread that is not inside yet and may be in the middle of anything. */
static int visit_begin(void)
{
    thread_state.inside = true;
    return errno;
}

static void visit_end(int saved_errno)
{
    thread_state.inside = false;
    errno = saved_errno;
}

static void flush(void)
{
    thread_state.flush_epoch = atomic_load_explicit(&admit.flush_epoch, memory_order_relaxed);
    arenas_flush_thread_cache();
}

/* A look was due and no longer is: pages were given back before any thread came by. */
static void reopen(void)
{
    if (gate_stops(0) && atomic_load_explicit(&look.level, memory_order_relaxed) == PLIM_NORMAL)
        account_open_gate(GATE_OPEN);
}

bool admit_request(size_t size)
{
    if (!runtime_ready() || thread_state.inside)
        return true;
    bool due = !promise_within(size, account_until_look());
    if (likely(!due && !admit_flush_wanted())) {
        reopen();
        return true;
    }
    int saved_errno = visit_begin();
    if (admit_flush_wanted())
        flush();
    bool admitted = due ? look_due(size) : true;
    if (!admitted)
        requests_served();
    visit_end(saved_errno);
    return admitted;
}

void admit_flush(void)
{
    if (thread_state.inside)
        return;
    int saved_errno = visit_begin();
    flush();
    visit_end(saved_errno);
}

/* Much more is free than at the last look, or others may have used up the room since. Call with the
 * look lock held, under which no arena ends. */
static bool freed_due(void)
{
    uint64_t free = arenas_free();
    uint64_t looked = atomic_load_explicit(&admit.looked_ns, memory_order_relaxed);
    if (free >= atomic_load_explicit(&admit.look_freed, memory_order_relaxed))
        return true;
    return free >= freed_worth && sys_now_ns() - looked >= freed_pause_ns;
}

void admit_freed(void)
{
    struct governor_input in;
    struct governor_decision d;
    if (!runtime_ready() || thread_state.inside || ++thread_state.events_unseen < events_apart)
        return;
    thread_state.events_unseen = 0;
    int saved_errno = visit_begin();
    struct look_turn turn = look_begin(0);
    bool due = turn.had && freed_due();
    if (due)
        look_locked(0, LOOK_ASIDE, &in, &d);
    look_end(turn);
    if (due)
        after_look(&in, &d);
    visit_end(saved_errno);
}

/* All of it may be pages that were given back and have returned. So it counts towards stop_at as if
 * it had been committed. */
void admit_refilled(void)
{
    uint64_t pause_ns = atomic_load_explicit(&admit.look_refilled_ns, memory_order_relaxed);
    uint64_t stop_at = atomic_load_explicit(&admit.stop_at, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&admit.stop_at, &stop_at,
                                                  u64_less(stop_at, refilled_bytes),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    if (account_committed() >= u64_less(stop_at, refilled_bytes))
        pause_ns = u64_min(pause_ns, refilled_pause_ns);
    uint64_t looked_ns = atomic_load_explicit(&admit.looked_ns, memory_order_relaxed);
    if (u64_less(sys_now_ns(), looked_ns) >= pause_ns)
        account_look_now();
}
