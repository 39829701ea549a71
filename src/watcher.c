/*
 * The watcher thread: looks when nobody allocates, lets free pages of an idle program age, and runs
 * reclaimers. Started once the heap matters; sleeps without a timer while there is nothing to give.
 *
 * One watches. From the first pass of reclaimers on a second one stands by, and takes over when a
 * pass holds up the first, which ends with it.
 */
#include "runtime.h"

#include "arenas.h"
#include "control.h"
#include "log.h"

#include <errno.h>
#include <pthread.h>

enum watcher_state { WATCHER_NONE, WATCHER_STARTING, WATCHER_RUNNING, WATCHER_PAUSED };

/* In place of a thread's number, until it tells that. */
#define STARTED UINT32_MAX

/* One that could not be started is not tried again at every look. */
static const uint64_t retry_ns = NS_PER_S;

static bool has_turn(uint32_t turn)
{
    struct watcher *self = &runtime.watcher;
    return atomic_load(&self->turn) == turn && atomic_load(&self->state) == WATCHER_RUNNING;
}

/* Also where a reclaimer ended the thread: then another one takes over. */
static void end(void *arg)
{
    struct watcher *self = &runtime.watcher;
    uint32_t running = WATCHER_RUNNING;
    if (atomic_load(&self->turn) == (uint32_t)(uintptr_t)arg && !atomic_load(&runtime.exiting) &&
        atomic_compare_exchange_strong(&self->state, &running, WATCHER_NONE))
        watcher_start();
}

static void watch(uint32_t turn)
{
    struct watcher *self = &runtime.watcher;
    while (!atomic_load(&runtime.exiting) && has_turn(turn)) {
        struct page_mailbox *mailbox = atomic_load(&self->mailbox);
        uint32_t seen = atomic_load(&self->wake);
        uint32_t shared_seen = mailbox == NULL ? 0 : atomic_load(&mailbox->wake);
        atomic_store(&self->next_ns, UINT64_MAX); /* not known yet: who wants a look wakes */
        uint64_t wait = watch_once(turn);
        /* A reclaimer took long, or forked, and this is the child. */
        if (!has_turn(turn))
            return;
        atomic_store(&self->next_ns, wait == UINT64_MAX ? UINT64_MAX : sys_now_ns() + wait);
        if (mailbox != NULL)
            control_serve(mailbox);
        if (atomic_load(&self->wake) != seen || atomic_load(&self->mailbox) != mailbox)
            continue;
        uint32_t level = atomic_load_explicit(&runtime.level, memory_order_relaxed);
        (void)events_wait(&self->events, mailbox == NULL ? &self->wake : &mailbox->wake,
                          mailbox == NULL ? seen : shared_seen, wait, level > PLIM_NORMAL);
        watch_outside();
    }
}

static void watch_in_turn(uint32_t turn)
{
    atomic_store(&runtime.watcher.tid, sys_tid());
    pthread_cleanup_push(end, (void *)(uintptr_t)turn);
    watch(turn);
    pthread_cleanup_pop(1);
}

static void begin(void)
{
    thread_state.inside = true;
    pthread_setname_np(pthread_self(), "plimsoll");
}

static void *watcher_main(void *arg)
{
    uint32_t starting = WATCHER_STARTING;
    begin();
    atomic_store(&runtime.watcher.tid, sys_tid());
    if (atomic_compare_exchange_strong(&runtime.watcher.state, &starting, WATCHER_RUNNING)) {
        watch_listen_outside();
        watch_in_turn((uint32_t)(uintptr_t)arg);
    }
    return NULL;
}

/* --- the one that stands by --- */

/* Sleeps without a timer while there are no passes, and wakes up once a second while there are.
 * True: one holds up the watcher. */
static bool wait_for_long_pass(void)
{
    struct watcher *self = &runtime.watcher;
    while (!atomic_load(&runtime.exiting) && atomic_load(&self->state) != WATCHER_PAUSED) {
        uint32_t passes = atomic_load(&self->passes), state = atomic_load(&self->state);
        uint64_t for_ns = watcher_pass_for();
        if (for_ns >= pass_patience_ns)
            return true;
        if (for_ns == 0)
            (void)sys_futex_wait(&self->passes, passes, UINT64_MAX);
        if (state != WATCHER_PAUSED)
            (void)sys_futex_wait(&self->state, state, u64_less(pass_patience_ns, for_ns));
    }
    return false;
}

static void *relief_main(void *arg)
{
    struct watcher *self = &runtime.watcher;
    (void)arg;
    begin();
    atomic_store(&self->relief, sys_tid());
    bool take_over = wait_for_long_pass();
    uint32_t turn = atomic_load(&self->turn);
    atomic_store(&self->relief, 0);
    if (take_over && atomic_load(&self->state) == WATCHER_RUNNING &&
        atomic_compare_exchange_strong(&self->turn, &turn, turn + 1))
        watch_in_turn(turn + 1);
    return NULL;
}

/* In a child of vfork it would be the child's, and end with it. */
static bool may_start(void)
{
    return runtime.options.thread != THREAD_OFF && atomic_load(&runtime.late) &&
           !atomic_load(&runtime.exiting) && atomic_load(&runtime.pid) == sys_pid() &&
           sys_now_ns() >= atomic_load(&runtime.watcher.start_ns);
}

void watcher_start(void)
{
    struct watcher *self = &runtime.watcher;
    uint32_t none = WATCHER_NONE;
    if (atomic_load(&self->state) != WATCHER_NONE || !may_start() ||
        !atomic_compare_exchange_strong(&self->state, &none, WATCHER_STARTING))
        return;
    bool inside = thread_state.inside;
    thread_state.inside = true; /* what creating a thread allocates is not looked at */
    atomic_store(&self->tid, STARTED);
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
           !atomic_load(&runtime.watcher.failed);
}

bool watcher_runs(void)
{
    return atomic_load_explicit(&runtime.watcher.state, memory_order_relaxed) == WATCHER_RUNNING;
}

static void wake_up(struct watcher *self)
{
    struct page_mailbox *mailbox = atomic_load(&self->mailbox);
    events_wake(&self->events, &self->wake);
    if (mailbox != NULL)
        (void)sys_futex_wake_shared(&mailbox->wake, 1);
}

/* Raises the words that it sleeps on. */
static void raise_words(struct watcher *self)
{
    atomic_fetch_add(&self->wake, 1);
    /* No mailbox here: then the watcher has seen none either, or it sees what has just been added.
     */
    struct page_mailbox *mailbox = atomic_load(&self->mailbox);
    if (mailbox != NULL)
        atomic_fetch_add(&mailbox->wake, 1);
}

void watcher_wake(void)
{
    struct watcher *self = &runtime.watcher;
    raise_words(self);
    if (atomic_load(&self->state) == WATCHER_RUNNING)
        wake_up(self);
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
    watcher_start();
    if (!watcher_is_expected())
        return false;
    watcher_ask(bytes);
    uint32_t ticket = atomic_fetch_add(&self->requests, 1) + 1;
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

/* --- held up by reclaimers, in the way of the program, in a child --- */

uint64_t watcher_pass_for(void)
{
    uint64_t began_ns = atomic_load(&runtime.watcher.pass_ns);
    return began_ns == 0 ? 0 : u64_less(sys_now_ns(), began_ns);
}

void watcher_stand_by(void)
{
    struct watcher *self = &runtime.watcher;
    uint32_t none = 0;
    atomic_fetch_add(&self->passes, 1);
    if (!atomic_compare_exchange_strong(&self->relief, &none, STARTED))
        (void)sys_futex_wake(&self->passes, 1);
    else if (watcher_create_thread(relief_main, 0) != 0)
        atomic_store(&self->relief, 0);
}

/* Until the kernel has forgotten the thread, which it does later than pthread_join() returns. One
 * that a reclaimer holds up is not waited for. */
static void wait_for_end(uint32_t tid)
{
    uint64_t give_up_ns = sys_now_ns() + pass_patience_ns;
    while (tid != 0 && sys_thread_exists(tid) && sys_now_ns() < give_up_ns)
        sys_sleep_ns(NS_PER_MS / 20);
}

static uint32_t number_of(const _Atomic uint32_t *tid)
{
    uint32_t is;
    while ((is = atomic_load(tid)) == STARTED)
        sys_yield();
    return is;
}

bool watcher_pause(void)
{
    struct watcher *self = &runtime.watcher;
    uint32_t state = WATCHER_NONE;
    while (atomic_load(&runtime.pid) == sys_pid() &&
           (state = atomic_load(&self->state)) == WATCHER_STARTING)
        sys_yield(); /* until it runs, or could not be started */
    if (state != WATCHER_RUNNING)
        return false; /* none, or in another process */
    uint32_t tid = number_of(&self->tid), relief = number_of(&self->relief);
    if (tid == sys_tid() || !atomic_compare_exchange_strong(&self->state, &state, WATCHER_PAUSED))
        return false; /* a reclaimer's call; or not alone anyway */
    raise_words(self);
    wake_up(self);
    atomic_fetch_add(&self->passes, 1);
    (void)sys_futex_wake(&self->passes, 1);
    (void)sys_futex_wake(&self->state, 1);
    wait_for_end(tid);
    wait_for_end(relief);
    return true;
}

void watcher_resume(void)
{
    atomic_store(&runtime.watcher.state, WATCHER_NONE);
    watcher_start();
}

void watcher_fork_child(void)
{
    struct watcher *self = &runtime.watcher;
    thread_state.inside = false; /* the watcher itself may fork, in a reclaimer */
    atomic_store(&self->state, WATCHER_NONE);
    atomic_fetch_add(&self->turn, 1);
    atomic_store(&self->relief, 0);
    atomic_store(&self->pass_ns, 0);
    atomic_store(&self->start_ns, 0);
    events_fork_child(&self->events);
    atomic_store(&self->mailbox, NULL); /* the page is the parent's */
}
