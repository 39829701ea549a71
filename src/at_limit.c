/* What an allocating thread meets where there is no room left: it waits, is refused, or ends the
 * program, see runtime.h. */
#include "runtime.h"

#include "log.h"
#include "reclaimers.h"
#include "record.h"

#include <stdlib.h>

/* Before a request is refused or the program aborted, reclaimers get this long. */
static const uint64_t last_resort_ns = NS_PER_S;

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
    struct look_turn turn = look_begin(last_resort_ns);
    if (!turn.had)
        return true;
    look_locked(request, false, &in, &d); /* purges what is left */
    look_locked(request, false, &in, &d); /* and sees what that gave */
    look_end(turn);
    return d.no_room;
}

static bool exhausted(uint64_t request)
{
    if (!still_no_room(request))
        return false;
    if (reclaimers_inside() || runtime_reclaimers(PLIM_CRITICAL) == 0)
        return true;
    uint32_t seen = progress_seen();
    watcher_wake();
    hold_back(seen, last_resort_ns);
    return still_no_room(request);
}

static void abort_at_limit(uint64_t request)
{
    char text[200];
    struct fmt f = FMT_INIT(text);
    if (!exhausted(request))
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
    thread_state.held++;
    atomic_fetch_add_explicit(&runtime.held, 1, memory_order_relaxed);
    if (d->hold_ns > 0 && runtime_reclaimers(PLIM_CRITICAL) > 0)
        watcher_wake(); /* once: each look of its lets us look again */
    while (passed < d->hold_ns) {
        hold_back(seen, d->hold_ns - passed);
        seen = progress_seen();
        struct look_turn turn = look_begin(look_wait_ns);
        if (!turn.had)
            break;
        look_locked(request, false, &in, d);
        look_end(turn);
        passed = sys_now_ns() - start;
    }
    atomic_fetch_sub_explicit(&runtime.held, 1, memory_order_relaxed);
    thread_state.held--;
}

/* There is no room, or nearly none. false: refuse the request. A reclaimer that allocates would
 * wait for itself, and may be about to free some. */
bool at_limit(size_t size, struct governor_decision *d)
{
    if (reclaimers_inside() && runtime.options.on_limit != ON_LIMIT_FAIL)
        return true;
    uint64_t large = size >= LARGE_REQUEST ? size : 0;
    switch (runtime.options.on_limit) {
    case ON_LIMIT_NONE:
        return true;
    case ON_LIMIT_THROTTLE:
        throttle(runtime_reclaimers(PLIM_CRITICAL) > 0 ? large : 0, d);
        return true;
    case ON_LIMIT_FAIL:
        if (!reclaimers_inside())
            throttle(large, d);
        if (!d->no_room || large == 0 || (d->hold_ns > 0 && !exhausted(large)))
            return true;
        counter_add(&runtime.counters.failed_requests, 1);
        return false;
    case ON_LIMIT_ABORT:
        if (d->no_room)
            abort_at_limit(large);
        return true;
    }
    return true;
}
