/*
 * The watcher's life, see watcher.h. Started once the heap matters; sleeps without a timer while
 * there is nothing to give.
 *
 * One watches. From the first pass of reclaimers on a second one stands by, and takes over when a
 * pass holds up the first, which ends with it.
 */
#include "watcher_internal.h"

#include "arenas.h"
#include "control.h"
#include "look.h"
#include "reclaimers.h"
#include "runtime.h"
#include "stats.h"
#include "thread_state.h"

#include <pthread.h>

struct watcher watcher;

/* One that could not be started is not tried again at every look. */
static const uint64_t retry_ns = NS_PER_S;

static bool has_turn(uint32_t turn)
{
    struct watcher *self = &watcher;
    return atomic_load(&self->turn) == turn && atomic_load(&self->state) == WATCHER_RUNNING;
}

/* Also where a reclaimer ended the thread: then another one takes over. */
static void end(void *arg)
{
    struct watcher *self = &watcher;
    uint32_t running = WATCHER_RUNNING;
    if (atomic_load(&self->turn) == (uint32_t)(uintptr_t)arg && !atomic_load(&runtime.exiting) &&
        atomic_compare_exchange_strong(&self->state, &running, WATCHER_NONE))
        watcher_start();
}

static void watch(uint32_t turn)
{
    struct watcher *self = &watcher;
    while (!atomic_load(&runtime.exiting) && has_turn(turn)) {
        struct page_mailbox *mailbox = atomic_load(&self->mailbox);
        uint32_t seen = atomic_load(&self->wake);
        uint32_t shared_seen = mailbox == NULL ? 0 : atomic_load(&mailbox->wake);
        atomic_store(&self->next_ns, UINT64_MAX); /* not known yet: who wants a look wakes */
        uint64_t wait = watcher_look(turn);
        /* A reclaimer took long, or forked, and this is the child. */
        if (!has_turn(turn))
            return;
        atomic_store(&self->next_ns, wait == UINT64_MAX ? UINT64_MAX : sys_now_ns() + wait);
        if (mailbox != NULL)
            control_serve(mailbox);
        if (atomic_load(&self->wake) != seen || atomic_load(&self->mailbox) != mailbox)
            continue;
        watcher_listen_outside();
        uint32_t level = atomic_load_explicit(&look.level, memory_order_relaxed);
        (void)events_wait(&self->events, mailbox == NULL ? &self->wake : &mailbox->wake,
                          mailbox == NULL ? seen : shared_seen, wait, level > PLIM_NORMAL);
        watcher_hear_outside();
    }
}

void watcher_watch(uint32_t turn)
{
    atomic_store(&watcher.tid, sys_tid());
    pthread_cleanup_push(end, (void *)(uintptr_t)turn);
    watch(turn);
    pthread_cleanup_pop(1);
}

void watcher_begin(void)
{
    thread_state.inside = thread_state.ours = true;
    pthread_setname_np(pthread_self(), "plimsoll");
}

static void *watcher_main(void *arg)
{
    uint32_t starting = WATCHER_STARTING;
    watcher_begin();
    atomic_store(&watcher.tid, sys_tid());
    if (atomic_compare_exchange_strong(&watcher.state, &starting, WATCHER_RUNNING)) {
        watcher_watch((uint32_t)(uintptr_t)arg);
    }
    return NULL;
}

/* In a child of vfork it would be the child's, and end with it. */
static bool may_start(void)
{
    return runtime.options.thread != THREAD_OFF && atomic_load(&runtime.late) &&
           !atomic_load(&runtime.exiting) && runtime_is_ours() &&
           sys_now_ns() >= atomic_load(&watcher.start_ns);
}

void watcher_start(void)
{
    struct watcher *self = &watcher;
    uint32_t none = WATCHER_NONE;
    if (atomic_load(&self->state) != WATCHER_NONE || !may_start() ||
        !atomic_compare_exchange_strong(&self->state, &none, WATCHER_STARTING))
        return;
    bool inside = thread_state.inside;
    thread_state.inside = true; /* what creating a thread allocates is not looked at */
    atomic_store(&self->tid, WATCHER_STARTED);
    int rc = watcher_create_thread(watcher_main, atomic_fetch_add(&self->turn, 1) + 1);
    /* This thread may be fetching blocks for its cache, which must find it as it was. */
    arenas_flush_thread_cache();
    thread_state.inside = inside;
    if (rc == 0) {
        atomic_store(&self->failed, false);
    } else { /* no memory or no right: a later look tries again */
        watcher_report_missing(rc);
        atomic_store(&self->start_ns, sys_now_ns() + retry_ns);
        atomic_store(&self->failed, true);
        atomic_store(&self->tid, 0);
        atomic_store(&self->state, WATCHER_NONE);
    }
}

bool watcher_is_expected(void)
{
    return runtime.options.thread != THREAD_OFF && atomic_load(&runtime.late) &&
           !atomic_load(&watcher.failed) && runtime_is_ours();
}

bool watcher_runs(void)
{
    return atomic_load_explicit(&watcher.state, memory_order_relaxed) == WATCHER_RUNNING &&
           runtime_is_ours();
}

unsigned watcher_reclaimers(enum plim_level level)
{
    unsigned count = reclaimers_count(level);
    return count > 0 && watcher_is_expected() && watcher_pass_for() < pass_lost_ns ? count : 0;
}
