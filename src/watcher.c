/*
 * The watcher's life, see watcher.h. Started once the heap matters; sleeps without a timer while
 * there is nothing to give.
 *
 * One thread watches. From the first pass of reclaimers on a second one stands by: it takes over
 * when a pass holds up the first, which ends once that pass does.
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

struct watcher watcher = {.mailbox = &watcher.own};

/* After a start that failed it is not tried again at every look. */
static const uint64_t retry_ns = NS_PER_S;
/* Before its first look, unless somebody wakes it. */
static const uint64_t begins_ns = 100 * NS_PER_MS;

static bool has_turn(uint32_t turn)
{
    struct watcher *self = &watcher;
    return atomic_load_explicit(&self->turn, memory_order_seq_cst) == turn &&
           atomic_load_explicit(&self->state, memory_order_seq_cst) == WATCHER_RUNNING;
}

/* Also where a reclaimer ended the thread: then another one takes over. */
static void end(void *arg)
{
    struct watcher *self = &watcher;
    if (atomic_load_explicit(&self->turn, memory_order_seq_cst) == (uint32_t)(uintptr_t)arg &&
        !atomic_load_explicit(&runtime.exiting, memory_order_relaxed) &&
        watcher_swap(&self->state, WATCHER_RUNNING, WATCHER_NONE))
        watcher_start();
}

static void watch(uint32_t turn)
{
    struct watcher *self = &watcher;
    while (!atomic_load_explicit(&runtime.exiting, memory_order_relaxed) && has_turn(turn)) {
        struct page_mailbox *mailbox = atomic_load_explicit(&self->mailbox, memory_order_seq_cst);
        uint32_t seen = atomic_load_explicit(&mailbox->wake, memory_order_seq_cst);
        /* Not known yet: until it is, a thread that wants a look by some time wakes the watcher. */
        atomic_store_explicit(&self->next_ns, UINT64_MAX, memory_order_seq_cst);
        uint64_t wait = watcher_look(turn);
        /* A reclaimer took long and another thread watches; or it forked, and this is the child. */
        if (!has_turn(turn))
            return;
        atomic_store_explicit(&self->next_ns, wait == UINT64_MAX ? UINT64_MAX : sys_now_ns() + wait,
                              memory_order_seq_cst);
        control_serve(mailbox);
        if (atomic_load_explicit(&mailbox->wake, memory_order_seq_cst) != seen ||
            atomic_load_explicit(&self->mailbox, memory_order_seq_cst) != mailbox)
            continue;
        watcher_listen_outside();
        uint32_t level = atomic_load_explicit(&look.level, memory_order_relaxed);
        (void)events_wait(&self->events, &mailbox->wake, seen, wait, level > PLIM_NORMAL);
        watcher_hear_outside();
    }
}

void watcher_watch(uint32_t turn)
{
    atomic_store_explicit(&watcher.tid, sys_tid(), memory_order_seq_cst);
    pthread_cleanup_push(end, (void *)(uintptr_t)turn);
    watch(turn);
    pthread_cleanup_pop(1);
}

void watcher_begin(void)
{
    thread_state.inside = thread_state.ours = true;
    pthread_setname_np(pthread_self(), "plimsoll");
}

/* A program that has just begun, or a child, may be about to put files of its own at numbers that
 * it has closed, which what a look opens could have by then. Far from the limit there is time. */
static void let_it_begin(void)
{
    struct page_mailbox *mailbox = atomic_load_explicit(&watcher.mailbox, memory_order_seq_cst);
    uint32_t seen = atomic_load_explicit(&mailbox->wake, memory_order_seq_cst);
    if (atomic_load_explicit(&look.level, memory_order_relaxed) != PLIM_NORMAL ||
        watcher_is_asked())
        return;
    atomic_store_explicit(&watcher.next_ns, sys_now_ns() + begins_ns, memory_order_seq_cst);
    (void)sys_futex_wait_shared(&mailbox->wake, seen, begins_ns);
}

static void *watcher_main(void *arg)
{
    watcher_begin();
    atomic_store_explicit(&watcher.tid, sys_tid(), memory_order_seq_cst);
    if (watcher_swap(&watcher.state, WATCHER_STARTING, WATCHER_RUNNING)) {
        let_it_begin();
        watcher_watch((uint32_t)(uintptr_t)arg);
    }
    return NULL;
}

/* Not in a child of vfork: the thread would be the child's, and end with it. */
static bool may_start(void)
{
    return runtime.options.thread != THREAD_OFF &&
           atomic_load_explicit(&runtime.late, memory_order_acquire) &&
           !atomic_load_explicit(&runtime.exiting, memory_order_relaxed) && runtime_is_ours() &&
           sys_now_ns() >= atomic_load_explicit(&watcher.start_ns, memory_order_relaxed);
}

void watcher_start(void)
{
    struct watcher *self = &watcher;
    if (atomic_load_explicit(&self->state, memory_order_relaxed) != WATCHER_NONE || !may_start() ||
        !watcher_swap(&self->state, WATCHER_NONE, WATCHER_STARTING))
        return;
    bool was_inside = inside_enter(); /* what creating a thread allocates is not looked at */
    atomic_store_explicit(&self->tid, WATCHER_STARTED, memory_order_seq_cst);
    uint32_t turn = atomic_fetch_add_explicit(&self->turn, 1, memory_order_seq_cst) + 1;
    int rc = watcher_create_thread(watcher_main, turn);
    /* This thread may be in the middle of filling its cache, and must find it as it was. */
    arenas_flush_thread_cache();
    inside_leave(was_inside);
    if (rc == 0) {
        atomic_store_explicit(&self->failed, false, memory_order_relaxed);
    } else { /* no memory or no right: a later look tries again */
        watcher_report_missing(rc);
        atomic_store_explicit(&self->start_ns, sys_now_ns() + retry_ns, memory_order_relaxed);
        atomic_store_explicit(&self->failed, true, memory_order_relaxed);
        atomic_store_explicit(&self->tid, 0, memory_order_seq_cst);
        atomic_store_explicit(&self->state, WATCHER_NONE, memory_order_seq_cst);
    }
}

bool watcher_is_expected(void)
{
    return runtime.options.thread != THREAD_OFF &&
           atomic_load_explicit(&runtime.late, memory_order_acquire) &&
           !atomic_load_explicit(&watcher.failed, memory_order_relaxed) && runtime_is_ours();
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
