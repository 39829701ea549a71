/* No room left, see at_limit.h. */
#include "at_limit.h"

#include "admit.h"
#include "log.h"
#include "look.h"
#include "reclaimers.h"
#include "record.h"
#include "runtime.h"
#include "stats.h"
#include "thread_state.h"
#include "watcher.h"

#include <stdlib.h>

struct at_limit at_limit;

/* Before a request is refused or the program aborted, reclaimers get this long. */
static const uint64_t last_resort_ns = NS_PER_S;

/* A thread that waits with a large request looks at these intervals whether reclaimers are to be
 * asked for it again. */
static const uint64_t ask_again_ns = 20 * NS_PER_MS;

/* And one that waits for other threads, whether they have freed. */
static const uint64_t look_again_ns = 5 * NS_PER_MS;

/* That is in vain where for so long they free too little and use next to no CPU time: they may need
 * a lock that it holds, an interpreter's perhaps. */
static const uint64_t idle_ns = 150 * NS_PER_MS;
/* After this time threads wait for each other again, and a thread that waited for reclaimers in
 * vain waits for them. */
static const uint64_t in_vain_for_ns = 10 * NS_PER_S;

/* Sleeps until there is progress past what was `seen`, at most for that time; returns what is seen
 * now. */
static uint32_t hold_back(uint32_t seen, uint64_t at_most_ns)
{
    uint64_t start = sys_now_ns();
    (void)sys_futex_wait(&at_limit.progress, seen, at_most_ns);
    counter_add(PAGE_THROTTLE, sys_now_ns() - start);
    return at_limit_progress_seen();
}

void at_limit_progress(void)
{
    atomic_fetch_add_explicit(&at_limit.progress, 1, memory_order_relaxed);
    (void)sys_futex_wake(&at_limit.progress, INT32_MAX);
}

/* Asks reclaimers on account of a large request, of which the watcher's looks do not know. */
static void ask_for(const struct governor_decision *d)
{
    if (d->ask == 0)
        return;
    watcher_ask(d->ask);
    watcher_wake();
}

/* Gives back what is left; true: still no room for the request. */
static bool purge_finds_no_room(uint64_t request, struct governor_input *in)
{
    struct governor_decision d;
    if (!look_once(last_resort_ns, request, in, &d)) /* purges what is left */
        return true;
    if (!look_once(last_resort_ns, request, in, &d)) /* and sees what that gave */
        return true;
    if (d.no_room)
        ask_for(&d);
    return d.no_room;
}

static void held_begin(uint64_t request)
{
    thread_state.held++;
    atomic_fetch_add_explicit(&at_limit.held, 1, memory_order_relaxed);
    requests_wait_begin(request);
}

static void held_end(uint64_t request)
{
    requests_wait_end(request);
    atomic_fetch_sub_explicit(&at_limit.held, 1, memory_order_relaxed);
    thread_state.held--;
}

/* Also has reclaimers give what they can, for last_resort_ns; true: all in vain. */
static bool try_last_resort(uint64_t request, struct governor_input *in)
{
    uint64_t start = sys_now_ns(), passed = 0;
    if (!purge_finds_no_room(request, in))
        return false;
    if (reclaimers_inside() || watcher_reclaimers(PLIM_CRITICAL) == 0)
        return true;
    uint32_t seen = at_limit_progress_seen();
    uint64_t waited_for = request < in->limits.hard ? request : 0;
    bool in_vain = true;
    held_begin(waited_for);
    watcher_wake();
    while (in_vain && passed < last_resort_ns) {
        seen = hold_back(seen, u64_min(last_resort_ns - passed, ask_again_ns));
        in_vain = purge_finds_no_room(request, in);
        passed = sys_now_ns() - start;
    }
    held_end(waited_for);
    return in_vain;
}

static void abort_at_limit(uint64_t request)
{
    char text[200];
    struct fmt f = FMT_INIT(text);
    struct governor_input in = {0};
    if (!try_last_resort(request, &in))
        return;
    record_last(&runtime.options, "abort");
    fmt_str(&f, "aborting (PLIMSOLL_ON_LIMIT=abort): usage ");
    fmt_bytes(&f, look_usage());
    if (in.limits.hard > 0) { /* else nobody could look */
        fmt_str(&f, " of a hard limit of ");
        fmt_bytes(&f, in.limits.hard);
    }
    fmt_str(&f, " with nothing left to reclaim");
    log_line(LOG_ERROR, text);
    abort();
}

/* A refusal may end the program: a look first, so that the stats page and the record show it. Not
 * in a child of vfork, which has its parent's memory. */
static void tell_of_refusal(uint64_t request)
{
    char text[200];
    struct fmt f = FMT_INIT(text);
    struct governor_input in;
    struct governor_decision d;
    uint64_t now = sys_now_ns();
    if (!runtime_is_ours())
        return;
    if (record_refusal_is_news(now) && look_once(look_wait_ns, request, &in, &d)) {
        fmt_str(&f, "refused a request for ");
        fmt_bytes(&f, request);
        fmt_str(&f, " (PLIMSOLL_ON_LIMIT=fail): ");
        look_fmt_standing(&f, &in.limits);
        log_line(LOG_WARN, text);
    }
    record_refused(&runtime.options, now);
}

bool at_limit_is_alone(uint64_t now_ns)
{
    return runtime.options.on_limit == ON_LIMIT_FAIL || /* it is to fail soon */
           now_ns < atomic_load_explicit(&at_limit.alone_until_ns, memory_order_relaxed);
}

/* A wait for other threads, if it was one at any time: how much they must free, the most that was
 * in use, for how long they have not freed it, and the CPU time of the process when that began. */
struct patience {
    bool for_threads;
    uint64_t bytes, active, looked_ns, waited_ns, cpu_ns;
};

static void patience_begin(struct patience *p, uint64_t now_ns)
{
    p->active = p->waited_ns = 0;
    p->looked_ns = now_ns;
    p->cpu_ns = sys_process_cpu_ns();
}

/* Whether the wait is in vain, as far as that look shows; `last`: no other one follows. Only the
 * time between two looks close to each other counts: the kernel may have stopped all threads. */
static bool is_in_vain(struct patience *p, const struct governor_input *in, bool last)
{
    p->active = u64_max(p->active, in->active);
    p->waited_ns += u64_min(u64_less(in->now_ns, p->looked_ns), 2 * ask_again_ns);
    p->looked_ns = in->now_ns;
    if (p->active - in->active >= p->bytes) {
        patience_begin(p, in->now_ns);
        return false;
    }
    bool idle = sys_process_cpu_ns() - p->cpu_ns < p->waited_ns / 4;
    return p->waited_ns >= idle_ns && (last || idle);
}

/* Whether a reclaimer slept for as long as this thread waited for it: it may need a lock that this
 * thread holds, an interpreter's perhaps, and gets on only when this thread does. */
static bool was_in_vain(uint64_t waited_ns)
{
    return waited_ns > 0 && watcher_pass_for() >= waited_ns && watcher_pass_sleeps();
}

/* Until a thread that waits looks again by itself. With reclaimers, each of the watcher's looks
 * lets it look; and where all processes of a group looked often, they would all take the first room
 * that one of them leaves. */
static uint64_t pause_ns(const struct governor_decision *d, bool reclaimers, uint64_t request)
{
    if (reclaimers)
        return request > 0 ? ask_again_ns : UINT64_MAX;
    return d->for_threads ? look_again_ns : UINT64_MAX;
}

/* Writes the record on this thread, which is about to wait: where many threads want memory at once
 * the watcher may get no CPU before the kill. Not where the watcher's record tells more (what
 * reclaimers gave, a heap profile), nor in a child of vfork. */
static void record_in_time(const struct governor_decision *d, uint64_t now_ns)
{
    const struct options *o = &runtime.options;
    if (record_due(o, d->level, now_ns) && o->heap_profile == 0 &&
        watcher_reclaimers(PLIM_CRITICAL) == 0 && runtime_is_ours())
        record_now(o, now_ns);
}

/* After a look of a thread that waits: whether it waits for other threads in vain, as no thread is
 * to from then on. */
static bool gives_up(struct patience *p, const struct governor_input *in,
                     const struct governor_decision *d, uint64_t passed_ns)
{
    p->for_threads = p->for_threads || d->for_threads;
    if (d->hold_ns == 0 || !p->for_threads || !is_in_vain(p, in, passed_ns >= d->hold_ns))
        return false;
    atomic_store_explicit(&at_limit.alone_until_ns, in->now_ns + in_vain_for_ns,
                          memory_order_relaxed);
    return true;
}

/* Holds the calling thread back until there is room again or its time is up. */
static void throttle(uint64_t request, uint32_t seen, struct governor_decision *d)
{
    struct governor_input in;
    uint64_t start = sys_now_ns(), passed = 0, waited_for = d->in_turn ? request : 0;
    struct patience patience = {.for_threads = d->for_threads,
                                .bytes = u64_max(request, LARGE_REQUEST)};
    patience_begin(&patience, start);
    held_begin(waited_for);
    record_in_time(d, start);
    bool reclaimers = watcher_reclaimers(PLIM_CRITICAL) > 0;
    if (d->hold_ns > 0 && reclaimers)
        watcher_wake(); /* once */
    while (passed < d->hold_ns) {
        uint64_t pause = pause_ns(d, reclaimers, request);
        seen = hold_back(seen, u64_min(d->hold_ns - passed, pause));
        if (!look_once(look_wait_ns, request, &in, d))
            break;
        ask_for(d);
        passed = sys_now_ns() - start;
        if (gives_up(&patience, &in, d, passed))
            break;
    }
    if (d->hold_ns > 0 && was_in_vain(passed))
        thread_state.in_vain_until_ns = start + passed + in_vain_for_ns;
    held_end(waited_for);
}

/* A reclaimer that allocates passes: it would wait for itself, and may be about to free some. */
bool at_limit_admit(size_t size, uint32_t progress, struct governor_decision *d)
{
    if (reclaimers_inside() && runtime.options.on_limit != ON_LIMIT_FAIL)
        return true;
    uint64_t large = size >= LARGE_REQUEST ? size : 0;
    switch (runtime.options.on_limit) {
    case ON_LIMIT_NONE:
        return true;
    case ON_LIMIT_THROTTLE:
        throttle(d->in_turn ? large : 0, progress, d);
        return true;
    case ON_LIMIT_FAIL:
        if (!reclaimers_inside())
            throttle(large, progress, d);
        if (!d->no_room || large == 0 ||
            (d->hold_ns > 0 && !try_last_resort(large, &(struct governor_input){0})))
            return true;
        counter_add(PAGE_FAILED_REQUESTS, 1);
        tell_of_refusal(large);
        return false;
    case ON_LIMIT_ABORT:
        if (d->no_room)
            abort_at_limit(large);
        return true;
    }
    return true;
}
