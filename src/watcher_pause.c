/* The watcher out of the way: for a call that needs the process to have one thread, and after fork.
 */
#include "watcher_internal.h"

#include "runtime.h"

/* Until the kernel has forgotten the thread, which may be after pthread_join() would return. Not
 * for ever: a reclaimer may hold the thread up. */
static void wait_for_end(uint32_t tid)
{
    uint64_t give_up_ns = sys_now_ns() + pass_patience_ns;
    while (tid != 0 && sys_thread_exists(tid) && sys_now_ns() < give_up_ns)
        sys_give_way();
}

static uint32_t number_of(const _Atomic uint32_t *tid)
{
    uint32_t is;
    while ((is = atomic_load_explicit(tid, memory_order_seq_cst)) == WATCHER_STARTED)
        sys_give_way();
    return is;
}

bool watcher_pause(void)
{
    struct watcher *self = &watcher;
    uint32_t state = WATCHER_NONE;
    while (runtime_is_ours() &&
           (state = atomic_load_explicit(&self->state, memory_order_seq_cst)) == WATCHER_STARTING)
        sys_give_way(); /* until it runs, or could not be started */
    if (state != WATCHER_RUNNING)
        return false; /* none, or in another process */
    uint32_t tid = number_of(&self->tid), relief = number_of(&self->relief);
    if (tid == sys_tid() || !watcher_swap(&self->state, WATCHER_RUNNING, WATCHER_PAUSED))
        return false; /* called by a reclaimer; or another thread was faster, so not alone anyway */
    uint32_t made_since = number_of(&self->relief);
    watcher_rouse();
    atomic_fetch_add_explicit(&self->passes, 1, memory_order_seq_cst);
    (void)sys_futex_wake(&self->passes, 1);
    (void)sys_futex_wake(&self->state, 1);
    wait_for_end(tid);
    wait_for_end(relief);
    wait_for_end(made_since);
    return true;
}

void watcher_resume(void)
{
    atomic_store_explicit(&watcher.state, WATCHER_NONE, memory_order_seq_cst);
    watcher_start();
}

bool watcher_fork_child(void)
{
    struct watcher *self = &watcher;
    uint32_t state = atomic_exchange_explicit(&self->state, WATCHER_NONE, memory_order_seq_cst);
    atomic_fetch_add_explicit(&self->turn, 1, memory_order_seq_cst);
    atomic_store_explicit(&self->relief, 0, memory_order_seq_cst);
    atomic_store_explicit(&self->pass_ns, 0, memory_order_seq_cst);
    atomic_store_explicit(&self->start_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&self->wanted, 0, memory_order_seq_cst); /* by the parent's threads */
    atomic_store_explicit(&self->asked, 0, memory_order_seq_cst);  /* likewise */
    events_fork_child(&self->events);
    /* The page is the parent's. */
    atomic_store_explicit(&self->mailbox, &self->own, memory_order_seq_cst);
    return state == WATCHER_RUNNING;
}
