/*
 * The thread that stands by while reclaimers run, and takes over the watch where a pass of theirs
 * holds up the watcher. Made at the first pass.
 */
#include "watcher_internal.h"

#include "runtime.h"

/* Sleeps without a timer while there are no passes, and wakes up once a second while there are.
 * True: one holds up the watcher. */
static bool wait_for_long_pass(void)
{
    struct watcher *self = &watcher;
    while (!atomic_load(&runtime.exiting)) {
        /* In this order: who pauses changes the state first, then raises `passes`. */
        uint32_t passes = atomic_load(&self->passes);
        uint32_t state = atomic_load(&self->state);
        if (state == WATCHER_PAUSED)
            break;
        uint64_t for_ns = watcher_pass_for();
        if (for_ns >= pass_patience_ns)
            return true;
        if (for_ns == 0)
            (void)sys_futex_wait(&self->passes, passes, UINT64_MAX);
        else
            (void)sys_futex_wait(&self->state, state, u64_less(pass_patience_ns, for_ns));
    }
    return false;
}

static void *relief_main(void *arg)
{
    struct watcher *self = &watcher;
    (void)arg;
    watcher_begin();
    atomic_store(&self->relief, sys_tid());
    bool take_over = wait_for_long_pass();
    uint32_t turn = atomic_load(&self->turn);
    atomic_store(&self->relief, 0);
    if (take_over && atomic_load(&self->state) == WATCHER_RUNNING &&
        atomic_compare_exchange_strong(&self->turn, &turn, turn + 1))
        watcher_watch(turn + 1);
    return NULL;
}

uint64_t watcher_pass_for(void)
{
    uint64_t began_ns = atomic_load(&watcher.pass_ns);
    return began_ns == 0 ? 0 : u64_less(sys_now_ns(), began_ns);
}

void watcher_stand_by(void)
{
    struct watcher *self = &watcher;
    uint32_t none = 0;
    atomic_fetch_add(&self->passes, 1);
    if (!atomic_compare_exchange_strong(&self->relief, &none, WATCHER_STARTED))
        (void)sys_futex_wake(&self->passes, 1);
    else if (watcher_create_thread(relief_main, 0) != 0)
        atomic_store(&self->relief, 0);
}
