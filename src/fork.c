/* Before a fork, and what becomes of everything in the child, see runtime.h. */
#include "runtime.h"

#include "account.h"
#include "admit.h"
#include "arenas.h"
#include "at_limit.h"
#include "inside.h"
#include "je.h"
#include "look.h"
#include "notify.h"
#include "pressure_fd.h"
#include "publish.h"
#include "reclaimers.h"
#include "record.h"
#include "requests.h"
#include "stats.h"
#include "thread_state.h"
#include "watcher.h"

#include <pthread.h>

/* Another thread's purge ends within this, however much it gives back and however busy the machine.
 */
static const uint64_t purge_lasts_ns = 30 * NS_PER_S;

/*
 * Waits for other threads' purges: the child would find jemalloc's arena marked as being purged for
 * ever. Only for a time, and a short one where a signal handler forks while this thread is inside,
 * as the thread may hold what that purge needs (unless it was only waiting here). Not at all for a
 * look of this thread's own that a handler interrupted: that cannot end before the handler does.
 *
 * Signals are blocked only once the locks are taken, as the threads that hold them may be waiting
 * for this thread's handlers. From then on no handler runs: a fork inside this one would find it
 * half prepared, and jemalloc's locks taken.
 */
static void fork_prepare(void)
{
    struct fork_state fork = {.was_inside = thread_state.inside};
    const bool was_forking = thread_state.forks; /* a handler interrupted that */
    uint64_t patience_ns = thread_state.inside ? NS_PER_S : purge_lasts_ns;
    thread_state.forks = thread_state.inside = true; /* handlers may allocate */
    atomic_signal_fence(memory_order_seq_cst);
    fork.look = lock_take_unless_own(&look.lock, patience_ns);
    fork.reclaimers = reclaimers_fork_prepare(patience_ns);
    fork.events = events_fork_prepare(&watcher.events, patience_ns);
    purges_fork_prepare(was_forking ? purge_lasts_ns : patience_ns);
    fork.signals = sys_block_signals();
    thread_state.forks = was_forking;
    thread_state.fork = fork;
}

static void fork_parent(void)
{
    purges_fork_parent();
    atomic_store_explicit(&runtime.forked, true, memory_order_relaxed);
    if (thread_state.fork.events)
        events_fork_parent(&watcher.events);
    if (thread_state.fork.reclaimers)
        reclaimers_fork_parent();
    if (thread_state.fork.look)
        lock_release(&look.lock);
    thread_state.inside = thread_state.fork.was_inside;
    sys_restore_signals(thread_state.fork.signals);
}

/* Most children allocate little and end: they are not worth a look, unless the heap mattered in the
 * parent or the limit is near. Otherwise they look after a MiB at the latest; where there is less
 * room, early enough for dozens of them to fit in. */
static void look_in_child(bool watched)
{
    uint64_t room =
        look.limits.source == LIMITS_NONE ? UNLIMITED : u64_less(look.limits.low, look_usage());
    if (watched || atomic_load_explicit(&look.level, memory_order_relaxed) != PLIM_NORMAL)
        account_look_now();
    else
        account_look_after(u64_clamp(room / 64, first_look / 16, first_look), GATE_OPEN);
}

/* Where a signal handler forked in the middle of a look, the child may go on with the look, without
 * the lock. Or it may stay in the handler for good, and must work there (but for an arena that it
 * was purging: to jemalloc that purge still goes on). */
static bool reset(void)
{
    /* Other threads that waited are not in the child. */
    atomic_store_explicit(&at_limit.held, thread_state.held, memory_order_relaxed);
    requests_fork_child();
    stats_fork_child();
    reclaimers_fork_child();
    lock_reset(&look.lock);
    slabs_fork_child();
    purges_fork_child();
    moves_fork_child();
    atomic_store_explicit(&runtime.forked, true, memory_order_relaxed);
    atomic_store_explicit(&runtime.pid, sys_pid(), memory_order_relaxed);
    bool watched = watcher_fork_child();
    pressure_fd_fork_child();
    notify_fork_child();
    publish_fork_child(account_committed());
    atomic_store_explicit(&account.peak, (int64_t)account_committed(), memory_order_relaxed);
    record_fork_child();
    thread_state.in_vain_until_ns = 0; /* the reclaimers that it waited for are the parent's */
    thread_state.inside = false;
    return watched;
}

/* Only the forking thread is left. */
static void fork_child(void)
{
    bool watched = reset() || atomic_load_explicit(&runtime.listeners, memory_order_relaxed);
    if (atomic_load_explicit(&runtime.phase, memory_order_relaxed) == PHASE_READY) {
        arenas_fork_child();
        usage_open_alone(&look.usage);
        look.refreshed_ns = 1; /* long ago: the child may be moved to another cgroup */
        look_in_child(watched);
    }
    sys_restore_signals(thread_state.fork.signals);
}

void fork_begin(void)
{
    static _Atomic bool begun;
    if (atomic_exchange_explicit(&begun, true, memory_order_relaxed))
        return;
    runtime_configure();
    je_free(je_malloc(1));
    if (atomic_load_explicit(&runtime.phase, memory_order_acquire) != PHASE_OFF)
        pthread_atfork(fork_prepare, fork_parent, fork_child);
}
