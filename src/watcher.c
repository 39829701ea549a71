/*
 * The watcher thread: looks when nobody allocates, lets free pages of an idle program age, and runs
 * reclaimers. Started once the heap matters; sleeps without a timer while there is nothing to give.
 */
#include "runtime.h"

#include "arenas.h"
#include "control.h"
#include "log.h"
#include "notify.h"
#include "reclaimers.h"
#include "record.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

enum watcher_state { WATCHER_NONE, WATCHER_STARTING, WATCHER_RUNNING };

static const size_t stack_bytes = (size_t)1 << 20;
/* The lock is held for microseconds, unless its holder was preempted or purges much. */
static const uint64_t lock_wait_ns = 50 * NS_PER_MS;

/* Whether that has changed. */
static bool report_meets(enum governor_meets meets)
{
    char text[200];
    struct fmt f = FMT_INIT(text);
    if (meets == GOVERNOR_SAME)
        return false;
    atomic_store_explicit(&runtime.cannot_meet, meets == GOVERNOR_CANNOT, memory_order_relaxed);
    fmt_str(&f, meets == GOVERNOR_CANNOT ? "cannot meet the limit: usage "
                                         : "meets the limit again: usage ");
    fmt_bytes(&f, atomic_load_explicit(&runtime.counters.usage, memory_order_relaxed));
    fmt_str(&f, ", soft limit ");
    fmt_bytes(&f, runtime.limits.soft);
    fmt_str(&f, ", hard limit ");
    fmt_bytes(&f, runtime.limits.hard);
    if (meets == GOVERNOR_CANNOT)
        fmt_str(&f, "; what is left is in use");
    log_line(LOG_WARN, text);
    return true;
}

/* What one look of the watcher found. */
struct watch {
    struct governor_input in;
    struct governor_decision d;
    uint64_t needed; /* by the governor; 0: nothing */
    uint64_t target; /* to ask of reclaimers: that, or what a caller asked for */
    uint64_t live;   /* bytes in live allocations, where something may be asked */
    bool record_due;
};

/* Page cache and others of the group are in what the kernel counts, and not in our count of pages.
 */
static void follow_events(const struct limits *l)
{
    const struct usage *u = &runtime.usage;
    const uint64_t thresholds[EVENTS_THRESHOLDS] = {l->low, l->soft, l->critical};
    events_follow(&runtime.watcher.events, l->source == LIMITS_CGROUP ? &u->cgroup.memory : NULL,
                  u->levels[u->binding].path_len, u->resolved, thresholds);
}

static bool watch_look(struct watch *w)
{
    *w = (struct watch){0};
    if (!lock_take_within(&runtime.look_lock, lock_wait_ns))
        return false;
    look_locked(0, true, &w->in, &w->d);
    follow_events(&w->in.limits);
    arenas_age();
    if (report_meets(governor_meets(&runtime.governor, &w->in)))
        stats_publish(&w->in);
    w->record_due = record_due(&runtime.options, w->d.level, w->in.now_ns);
    if (w->d.callbacks_due || atomic_load(&runtime.watcher.asked) > 0)
        w->live = arenas_allocated();
    if (w->d.callbacks_due)
        w->needed = governor_target(&runtime.governor, &w->in, w->live);
    lock_release(&runtime.look_lock);
    return true;
}

/* Judges a pass by what this thread freed and what became of usage, not by what reclaimers say. */
static void pass_account(const struct watch *w, const struct reclaimers_result *result,
                         uint64_t cpu_ns, uint64_t freed)
{
    struct governor_input in;
    struct governor_decision d;
    counter_add(&runtime.counters.reclaimer_calls, result->calls);
    counter_add(&runtime.counters.reclaimer_asked, result->asked);
    counter_add(&runtime.counters.reclaimer_freed, result->freed);
    counter_add(&runtime.counters.reclaim_cpu_ns, cpu_ns);
    if (!lock_take_within(&runtime.look_lock, lock_wait_ns))
        return;
    arenas_flush_thread_cache();
    look_locked(0, true, &in, &d);
    const struct governor_pass pass = {
        .now_ns = in.now_ns,
        .asked = w->needed,
        .freed = freed,
        .usage_before = w->in.usage,
        .usage_after = u64_less(in.usage, in.dirty),
        .live_before = w->live,
        .live_after = arenas_allocated(),
        .dirty_before = w->in.dirty,
    };
    governor_pass_done(&runtime.governor, &pass);
    lock_release(&runtime.look_lock);
}

static void reclaim_pass(const struct watch *w)
{
    struct plim_pressure p = {
        .size = sizeof(p),
        .level = w->d.level > PLIM_MEDIUM ? w->d.level : PLIM_MEDIUM,
        .usage = w->in.usage,
        .soft_limit = w->in.limits.soft,
        .hard_limit = w->in.limits.hard,
        .target = w->target,
    };
    struct reclaimers_result result;
    uint64_t start = sys_thread_cpu_ns(), freed = arenas_thread_freed();
    reclaimers_run(&p, &result);
    if (result.calls > 0)
        pass_account(w, &result, sys_thread_cpu_ns() - start, arenas_thread_freed() - freed);
}

/* Returns the time until the next look. */
static uint64_t watch_once(void)
{
    struct watch w;
    struct watcher *self = &runtime.watcher;
    counter_add(&runtime.counters.wakeups, 1);
    uint32_t requests = atomic_load(&self->requests);
    if (!watch_look(&w))
        return lock_wait_ns;
    w.target = u64_max(w.needed, atomic_exchange(&self->asked, 0));
    const struct record_job record = {
        .options = &runtime.options, .reason = "critical", .now_ns = w.in.now_ns, .profile = true};
    bool recording = w.record_due && record_begin(&record);
    if (w.target > 0)
        reclaim_pass(&w);
    if (recording)
        record_end(&record); /* with what the pass gave */
    if (w.target > 0 || w.d.level < PLIM_CRITICAL)
        runtime_progress();
    atomic_store(&self->served, requests);
    (void)sys_futex_wake(&self->served, INT32_MAX);
    return w.d.watch_after_ns;
}

static void listen_outside(void)
{
    const struct pressure_watch *outer = notify_outer();
    if (outer != NULL && events_listen(&runtime.watcher.events, outer) < 0)
        log_line(LOG_INFO, PRESSURE_WATCH " cannot be listened to");
}

/* A service manager tells of pressure, the kernel's perhaps: free pages go, as they would by
 * malloc_trim(), and the program hears of it as if we had not put ourselves between. */
static void act_on_outer(void)
{
    if (!events_outer_told(&runtime.watcher.events))
        return;
    (void)runtime_purge(UINT64_MAX);
    if (!lock_take_within(&runtime.look_lock, NS_PER_S))
        return;
    notify_relay(sys_now_ns());
    lock_release(&runtime.look_lock);
}

static void *watcher_main(void *arg)
{
    (void)arg;
    struct watcher *self = &runtime.watcher;
    thread_state.inside = true;
    pthread_setname_np(pthread_self(), "plimsoll");
    atomic_store(&self->state, WATCHER_RUNNING);
    listen_outside();
    /* Not running any more: this is a child that a reclaimer forked. */
    while (!atomic_load(&runtime.exiting) && atomic_load(&self->state) == WATCHER_RUNNING) {
        struct page_mailbox *mailbox = atomic_load(&self->mailbox);
        uint32_t seen = atomic_load(&self->wake);
        uint32_t shared_seen = mailbox == NULL ? 0 : atomic_load(&mailbox->wake);
        atomic_store(&self->next_ns, UINT64_MAX); /* not known yet: who wants a look wakes */
        uint64_t wait = watch_once();
        atomic_store(&self->next_ns, wait == UINT64_MAX ? UINT64_MAX : sys_now_ns() + wait);
        /* Another one, or none: a reclaimer forked, and this is the child. */
        if (mailbox != NULL && atomic_load(&self->mailbox) == mailbox)
            control_serve(mailbox);
        if (atomic_load(&self->wake) != seen || atomic_load(&self->mailbox) != mailbox)
            continue;
        uint32_t level = atomic_load_explicit(&runtime.level, memory_order_relaxed);
        (void)events_wait(&self->events, mailbox == NULL ? &self->wake : &mailbox->wake,
                          mailbox == NULL ? seen : shared_seen, wait, level > PLIM_NORMAL);
        act_on_outer();
    }
    return NULL;
}

/* All signals blocked: they are the program's, and its handlers must not run here. */
static int create_thread(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    int rc = pthread_attr_init(&attr);
    if (rc != 0)
        return rc;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, stack_bytes);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attr, watcher_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

void watcher_start(void)
{
    uint32_t none = WATCHER_NONE;
    if (runtime.options.thread == THREAD_OFF || !atomic_load(&runtime.late) ||
        atomic_load(&runtime.exiting) ||
        !atomic_compare_exchange_strong(&runtime.watcher.state, &none, WATCHER_STARTING))
        return;
    bool inside = thread_state.inside;
    thread_state.inside = true; /* what creating a thread allocates is not looked at */
    int rc = create_thread();
    /* This thread may be fetching blocks for its cache, which must find it as it was. */
    arenas_flush_thread_cache();
    thread_state.inside = inside;
    if (rc != 0) { /* no memory or no right: the next look tries again */
        log_line(LOG_INFO, "the watcher thread could not be started");
        atomic_store(&runtime.watcher.state, WATCHER_NONE);
    }
}

bool watcher_runs(void)
{
    return atomic_load_explicit(&runtime.watcher.state, memory_order_relaxed) == WATCHER_RUNNING;
}

void watcher_wake(void)
{
    struct watcher *self = &runtime.watcher;
    atomic_fetch_add(&self->wake, 1);
    /* No mailbox here: then the watcher has seen none either, or it sees what has just been added.
     */
    struct page_mailbox *mailbox = atomic_load(&self->mailbox);
    if (mailbox != NULL)
        atomic_fetch_add(&mailbox->wake, 1);
    if (atomic_load(&self->state) != WATCHER_RUNNING)
        return;
    events_wake(&self->events, &self->wake);
    if (mailbox != NULL)
        (void)sys_futex_wake_shared(&mailbox->wake, 1);
}

void watcher_wake_by(uint64_t ns)
{
    if (atomic_load(&runtime.watcher.state) == WATCHER_RUNNING &&
        atomic_load(&runtime.watcher.next_ns) > ns)
        watcher_wake();
}

void watcher_ask(uint64_t bytes)
{
    uint64_t asked = atomic_load(&runtime.watcher.asked);
    while (asked < bytes && !atomic_compare_exchange_weak(&runtime.watcher.asked, &asked, bytes))
        ;
}

bool watcher_pass(uint64_t bytes, uint64_t within_ns)
{
    struct watcher *self = &runtime.watcher;
    uint64_t end = sys_now_ns() + within_ns;
    watcher_ask(bytes);
    uint32_t ticket = atomic_fetch_add(&self->requests, 1) + 1;
    watcher_start();
    watcher_wake();
    for (;;) {
        uint32_t served = atomic_load(&self->served);
        uint64_t now = sys_now_ns();
        if ((int32_t)(served - ticket) >= 0)
            return true;
        if (now >= end)
            return false;
        (void)sys_futex_wait(&self->served, served, end - now);
    }
}

void watcher_fork_child(void)
{
    thread_state.inside = false; /* the watcher itself may fork, in a reclaimer */
    atomic_store(&runtime.watcher.state, WATCHER_NONE);
    events_fork_child(&runtime.watcher.events);
    atomic_store(&runtime.watcher.mailbox, NULL); /* the page is the parent's */
}
