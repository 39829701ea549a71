/* One look on the watcher's thread, and the pass of reclaimers that may follow it, see
 * watcher.h. */
#include "watcher_internal.h"

#include "arenas.h"
#include "at_limit.h"
#include "log.h"
#include "look.h"
#include "notify.h"
#include "pages.h"
#include "reclaimers.h"
#include "record.h"
#include "runtime.h"
#include "stats.h"
#include "thread_state.h"

#include <pthread.h>

/* The lock is held for microseconds, unless its holder was preempted or purges much. */
static const uint64_t lock_wait_ns = 50 * NS_PER_MS;

/* What one look of the watcher found. */
struct watch {
    struct governor_input in;
    struct governor_decision d;
    /* Bytes to ask of reclaimers; 0: nothing. */
    uint64_t asked;  /* by a call */
    uint64_t wanted; /* for a request */
    uint64_t needed; /* for a request, or by the governor */
    uint64_t target; /* the largest of these */
    uint64_t live;   /* bytes in live allocations; read where something is asked */
    bool record_due, after_useless;
};

/* Has the kernel tell of what our count of pages cannot see: page cache, and others of the
 * group. */
static void follow_events(const struct limits *l)
{
    const struct usage *u = &look.usage;
    const uint64_t thresholds[EVENTS_THRESHOLDS] = {l->low, l->soft, l->critical};
    events_follow(&watcher.events, l->source == LIMITS_CGROUP ? &u->cgroup.memory : NULL,
                  u->levels[u->binding].path_len, u->resolved, thresholds);
}

/* Collects what reclaimers are to be asked for: by requests, by calls, by the governor. */
static void take_wishes(struct watch *w)
{
    w->asked = atomic_exchange_explicit(&watcher.asked, 0, memory_order_seq_cst);
    w->wanted = atomic_exchange_explicit(&watcher.wanted, 0, memory_order_seq_cst);
    if (!w->d.callbacks_due && w->asked == 0 && w->wanted == 0)
        return;
    w->live = arenas_allocated();
    if (w->d.callbacks_due)
        w->needed = governor_target(&look.governor, &w->in, w->live);
    w->needed = u64_max(w->needed, w->wanted);
    w->target = u64_max(w->needed, w->asked);
}

static bool watch_look(struct watch *w)
{
    *w = (struct watch){0};
    struct look_turn turn = look_begin(lock_wait_ns);
    if (!turn.had)
        return false;
    look_locked(0, LOOK_BY_WATCHER, &w->in, &w->d);
    follow_events(&w->in.limits);
    arenas_age();
    look_meets(&w->in);
    w->record_due = record_due(&runtime.options, w->d.level, w->in.now_ns);
    w->after_useless = governor_pass_was_useless(&look.governor);
    take_wishes(w);
    look_end(turn);
    return true;
}

/* Judges a pass by what this thread freed and what became of usage, not by what reclaimers say. */
static void pass_account(const struct watch *w, const struct reclaimers_result *result,
                         uint64_t cpu_ns, uint64_t freed)
{
    struct governor_input in;
    struct governor_decision d;
    counter_add(PAGE_RECLAIMER_CALLS, result->calls);
    counter_add(PAGE_RECLAIMER_ASKED, result->asked);
    counter_add(PAGE_RECLAIMER_FREED, result->freed);
    counter_add(PAGE_RECLAIM_CPU, cpu_ns);
    /* Even where the lock cannot be had: the next look that empties this cache may be far. */
    arenas_flush_thread_cache();
    struct look_turn turn = look_begin(look_wait_ns);
    if (!turn.had)
        return;
    look_locked(0, LOOK_BY_WATCHER, &in, &d);
    const struct governor_pass pass = {
        .now_ns = in.now_ns,
        .took_ns = watcher_pass_for(),
        .asked = w->needed,
        .for_request = w->wanted > 0,
        .said = result->freed,
        .freed = freed,
        .used_before = governor_in_use(&w->in),
        .used_after = governor_in_use(&in),
        .live_before = w->live,
        .live_after = arenas_allocated(),
    };
    governor_pass_done(&look.governor, &pass);
    look_end(turn);
}

/* A pass that is under way. */
struct pass {
    const struct watch *w;
    struct reclaimers_result result;
    uint64_t cpu_ns, freed, given;   /* of this thread, when it began */
    const struct record_job *record; /* the record to end with what the pass gave; NULL: none */
};

/* Also where a callback ended the thread. */
static void pass_end(void *arg)
{
    struct pass *pass = arg;
    thread_state.inside = true;
    uint64_t freed = arenas_thread_freed() - pass->freed;
    watcher_gave(freed);
    if (pass->result.calls > 0)
        pass_account(pass->w, &pass->result, sys_thread_cpu_since(pass->cpu_ns), freed);
    atomic_fetch_add_explicit(&watcher.given, pages_given_back() - pass->given,
                              memory_order_seq_cst);
    if (pass->record != NULL)
        record_end(pass->record);
    atomic_store_explicit(&watcher.pass_ns, 0,
                          memory_order_seq_cst); /* until then the relief stands by */
    if (watcher_is_asked())
        watcher_wake(); /* another thread watches now, and could not ask meanwhile */
}

/* Callbacks run outside (thread_state.inside is false): what they allocate is looked at as any
 * thread's. */
static void reclaim_pass(struct pass *pass)
{
    const struct watch *w = pass->w;
    struct plim_pressure p = {
        .size = sizeof(p),
        .level = w->d.level > PLIM_MEDIUM ? w->d.level : PLIM_MEDIUM,
        .usage = w->in.usage,
        .soft_limit = w->in.limits.soft,
        .hard_limit = w->in.limits.hard,
        .target = w->target,
    };
    if (thread_state.ours)
        arenas_have_thread_cache();
    thread_state.ours = false; /* from now on reclaimers may turn the cache off */
    pass->cpu_ns = sys_thread_cpu_ns();
    pass->freed = arenas_thread_freed();
    pass->given = pages_given_back();
    pthread_cleanup_push(pass_end, pass);
    thread_state.inside = false;
    reclaimers_run(&p, w->after_useless, arenas_thread_freed, &pass->result);
    pthread_cleanup_pop(1);
}

/* Once for each pass: no other reclaimer is called before this one returns. */
static void report_long_pass(void)
{
    uint64_t began_ns = atomic_load_explicit(&watcher.pass_ns, memory_order_seq_cst);
    char name[RECLAIMER_NAME_MAX], text[200];
    struct fmt f = FMT_INIT(text);
    if (began_ns == 0 || began_ns == watcher.long_pass_ns || watcher_pass_for() < pass_lost_ns ||
        !reclaimers_running(name))
        return;
    watcher.long_pass_ns = began_ns;
    fmt_str(&f, "reclaimer \"");
    fmt_str(&f, name);
    fmt_str(&f, "\" has not returned for ");
    fmt_u64(&f, pass_lost_ns / NS_PER_S);
    fmt_str(&f, " s; until it does, no reclaimer is called");
    log_line(LOG_WARN, text);
}

/* One pass at a time: none while a thread that was relieved is still in one. The stats page is
 * written first: this thread may not come back for long. */
static bool pass_begin(struct watch *w)
{
    uint64_t none = 0;
    if (!atomic_compare_exchange_strong_explicit(&watcher.pass_ns, &none, sys_now_ns(),
                                                 memory_order_seq_cst, memory_order_seq_cst))
        return false;
    atomic_store_explicit(&watcher.pass_tid, sys_tid(), memory_order_seq_cst);
    struct look_turn turn = look_begin(lock_wait_ns);
    if (turn.had)
        stats_publish(&w->in, 0);
    look_end(turn);
    watcher_stand_by();
    return true;
}

uint64_t watcher_look(uint32_t turn)
{
    struct watch w;
    struct watcher *self = &watcher;
    counter_add(PAGE_WAKEUPS, 1);
    uint32_t requests = atomic_load_explicit(&self->requests, memory_order_seq_cst);
    report_long_pass();
    if (!watch_look(&w))
        return lock_wait_ns;
    const struct record_job record = {
        .options = &runtime.options, .reason = "critical", .now_ns = w.in.now_ns, .profile = true};
    bool recording = w.record_due && record_begin(&record);
    struct pass pass = {.w = &w, .record = recording ? &record : NULL};
    bool begun = w.target > 0 && pass_begin(&w);
    if (begun)
        reclaim_pass(&pass);
    else if (recording)
        record_end(&record);
    if (atomic_load_explicit(&self->turn, memory_order_seq_cst) != turn)
        return 0;
    if (begun || w.target == 0 || w.d.level < PLIM_CRITICAL)
        at_limit_progress();
    if (w.target > 0 && !begun) { /* once the pass that runs has ended: nobody is served yet */
        watcher_ask(w.wanted);
        watcher_ask_for_call(w.asked);
        return atomic_load_explicit(&self->pass_ns, memory_order_seq_cst) == 0 ? 0
                                                                               : w.d.watch_after_ns;
    }
    atomic_store_explicit(&self->served, requests, memory_order_seq_cst);
    (void)sys_futex_wake(&self->served, INT32_MAX);
    return w.d.watch_after_ns;
}

/* --- outside --- */

void watcher_listen_outside(void)
{
    const struct pressure_watch *outer = notify_outer();
    if (outer != NULL && events_listen(&watcher.events, outer) < 0)
        log_line(LOG_INFO, PRESSURE_WATCH " cannot be listened to");
}

/* A service manager tells of pressure, the kernel's perhaps: free pages go, as they would by
 * malloc_trim(), and the program hears of it as if we had not put ourselves between. */
void watcher_hear_outside(void)
{
    if (!events_outer_told(&watcher.events))
        return;
    (void)look_purge(UINT64_MAX);
    struct look_turn turn = look_begin(NS_PER_S);
    if (turn.had)
        notify_relay(sys_now_ns());
    look_end(turn);
}
