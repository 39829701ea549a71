/*
 * The thread that stands by while reclaimers run, and takes over the watch where a pass of theirs
 * holds up the watcher. Made at the first pass.
 */
#include "watcher_internal.h"

#include "fmt.h"
#include "runtime.h"

/* Sleeps without a timer while there are no passes, and wakes up once a second while there are.
 * True: one holds up the watcher. */
static bool wait_for_long_pass(void)
{
    struct watcher *self = &watcher;
    while (!atomic_load_explicit(&runtime.exiting, memory_order_relaxed)) {
        /* In this order: watcher_pause() changes the state first, then raises `passes`. */
        uint32_t passes = atomic_load_explicit(&self->passes, memory_order_seq_cst);
        uint32_t state = atomic_load_explicit(&self->state, memory_order_seq_cst);
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
    atomic_store_explicit(&self->relief, sys_tid(), memory_order_seq_cst);
    bool take_over = wait_for_long_pass();
    uint32_t turn = atomic_load_explicit(&self->turn, memory_order_seq_cst);
    atomic_store_explicit(&self->relief, 0, memory_order_seq_cst);
    if (take_over && atomic_load_explicit(&self->state, memory_order_seq_cst) == WATCHER_RUNNING &&
        watcher_swap(&self->turn, turn, turn + 1))
        watcher_watch(turn + 1);
    return NULL;
}

uint64_t watcher_pass_for(void)
{
    uint64_t began_ns = atomic_load_explicit(&watcher.pass_ns, memory_order_seq_cst);
    return began_ns == 0 ? 0 : u64_less(sys_now_ns(), began_ns);
}

/* The lock keeps forks out meanwhile: a child would keep the file open. */
bool watcher_pass_sleeps(void)
{
    char path[48], text[64]; /* the state stands in front, and the name before it is short */
    struct fmt f = FMT_INIT(path);
    fmt_str(&f, "/proc/self/task/");
    fmt_u64(&f, atomic_load_explicit(&watcher.pass_tid, memory_order_seq_cst));
    fmt_str(&f, "/stat");
    lock_take(&watcher.events.lock);
    long got = sys_read_file(path, text, sizeof(text));
    lock_release(&watcher.events.lock);
    return got > 0 && fmt_stat_state(text) == 'S';
}

void watcher_stand_by(void)
{
    struct watcher *self = &watcher;
    atomic_fetch_add_explicit(&self->passes, 1, memory_order_seq_cst);
    if (!watcher_swap(&self->relief, 0, WATCHER_STARTED))
        (void)sys_futex_wake(&self->passes, 1);
    else if (watcher_create_thread(relief_main, 0) != 0)
        atomic_store_explicit(&self->relief, 0, memory_order_seq_cst);
}
