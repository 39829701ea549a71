/* What becomes of it all in a forked child, see runtime.h. */
#include "runtime.h"

#include "arenas.h"
#include "notify.h"
#include "publish.h"
#include "reclaimers.h"
#include "record.h"

#include <pthread.h>

/* Another thread's purge ends within this, however much it gives back and however busy the machine.
 */
static const uint64_t purge_lasts_ns = 30 * NS_PER_S;

/* Not in the middle of a purge: the child would find jemalloc's arena marked as being purged for
 * ever. Within a time only, and a short one where a signal handler forks in the middle of this
 * thread's own look.
 */
static void fork_prepare(void)
{
    uint64_t patience_ns = thread_state.inside ? NS_PER_S : purge_lasts_ns;
    thread_state.fork_holds_look_lock = lock_take_within(&runtime.look_lock, patience_ns);
    reclaimers_fork_prepare();
    events_fork_prepare(&runtime.watcher.events);
    thread_state.fork_was_inside = thread_state.inside;
    thread_state.inside = true; /* other handlers may allocate */
}

static void fork_parent(void)
{
    thread_state.inside = thread_state.fork_was_inside;
    events_fork_parent(&runtime.watcher.events);
    reclaimers_fork_parent();
    if (thread_state.fork_holds_look_lock)
        lock_release(&runtime.look_lock);
}

/* Most children allocate little and end: they are not worth a look, unless the heap mattered in the
 * parent or the limit is near. Nor is any process looked at before its first MiB; where there is
 * less room, dozens of children are to fit into it before they look. */
static void look_in_child(bool watched)
{
    uint64_t usage = atomic_load_explicit(&runtime.counters.usage, memory_order_relaxed);
    uint64_t room =
        runtime.limits.source == LIMITS_NONE ? UNLIMITED : u64_less(runtime.limits.low, usage);
    if (watched || atomic_load_explicit(&runtime.level, memory_order_relaxed) != PLIM_NORMAL)
        account_look_now();
    else
        account_look_after(u64_clamp(room / 64, first_look / 16, first_look), GATE_OPEN);
}

/* Only the forking thread is left. It may be anywhere but in a look: looks do not fork. */
static void fork_child(void)
{
    bool watched = watcher_runs() || atomic_load(&runtime.listeners);
    thread_state.inside = thread_state.fork_was_inside;
    atomic_store_explicit(&runtime.held, 0, memory_order_relaxed); /* they were the parent's */
    reclaimers_fork_child();
    lock_reset(&runtime.look_lock);
    atomic_store(&runtime.pid, sys_pid());
    watcher_fork_child();
    pressure_fd_fork_child();
    notify_fork_child();
    publish_fork_child(account_committed());
    atomic_store_explicit(&account.peak, (int64_t)account_committed(), memory_order_relaxed);
    record_fork_child();
    if (atomic_load_explicit(&runtime.phase, memory_order_relaxed) != PHASE_READY)
        return;
    arenas_fork_child();
    usage_close_files(&runtime.usage);
    runtime.refreshed_ns = 1; /* long ago: it may be moved to another cgroup */
    look_in_child(watched);
}

void fork_begin(void)
{
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}
