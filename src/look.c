/* One look: acquire, decide, act, see runtime.h. */
#include "runtime.h"

#include "arenas.h"
#include "log.h"
#include "notify.h"
#include "pages.h"
#include "reclaimers.h"

/* From a large request's being granted to its pages' being committed, at most. */
static const uint64_t granted_for_ns = 10 * NS_PER_MS;

struct look_turn look_begin(uint64_t within_ns)
{
    struct look_turn turn = {.was_inside = thread_state.inside};
    thread_state.inside = true;
    atomic_signal_fence(memory_order_seq_cst);
    turn.had = lock_take_within(&runtime.look_lock, within_ns);
    if (!turn.had) {
        atomic_signal_fence(memory_order_seq_cst);
        thread_state.inside = turn.was_inside;
    }
    return turn;
}

void look_end(struct look_turn turn)
{
    lock_release(&runtime.look_lock);
    atomic_signal_fence(memory_order_seq_cst);
    thread_state.inside = turn.was_inside;
}

static void set_level(enum plim_level level)
{
    atomic_store_explicit(&runtime.level, (uint32_t)level, memory_order_relaxed);
    pressure_fd_signal();
    if (log_wanted(LOG_INFO)) {
        static const char *const names[] = {"normal", "low", "medium", "critical"};
        char text[160];
        struct fmt f = FMT_INIT(text);
        fmt_str(&f, "level ");
        fmt_str(&f, names[level]);
        fmt_str(&f, ": usage ");
        fmt_bytes(&f, atomic_load_explicit(&runtime.counters.usage, memory_order_relaxed));
        fmt_str(&f, ", soft limit ");
        fmt_bytes(&f, runtime.limits.soft);
        fmt_str(&f, ", hard limit ");
        fmt_bytes(&f, runtime.limits.hard);
        log_line(LOG_INFO, text);
    }
}

/* What a large request will have committed shows in no count before it is served. */
void look_granted(uint64_t now, uint64_t committed, uint64_t bytes)
{
    uint64_t granted = now - runtime.granted_ns < granted_for_ns ? runtime.granted : 0;
    runtime.granted = u64_max(granted, committed) + bytes;
    runtime.granted_ns = now;
}

/* Without the watcher nobody calls them, and while one hangs no other is called. */
unsigned runtime_reclaimers(enum plim_level level)
{
    unsigned count = reclaimers_count(level);
    return count > 0 && watcher_is_expected() && watcher_pass_for() < pass_lost_ns ? count : 0;
}

static void acquire(uint64_t request, bool on_watcher, struct governor_input *in)
{
    uint64_t now = sys_now_ns();
    struct usage_sample sample;
    struct arenas_pages pages;
    if (now - runtime.refreshed_ns >= usage_pause_ns(runtime.usage.refresh_cost_ns)) {
        if (runtime.refreshed_ns != 0)
            usage_refresh(&runtime.usage);
        runtime.refreshed_ns = now;
    }
    arenas_find_new();
    arenas_read(&pages);
    uint64_t meanwhile = atomic_exchange_explicit(&runtime.meanwhile, 0, memory_order_relaxed);
    if (meanwhile > 0)
        look_granted(now, pages.committed, meanwhile);
    usage_read(&runtime.usage, pages.committed, request, on_watcher, &sample);
    *in = (struct governor_input){
        .now_ns = now,
        .limits = sample.limits,
        .usage = sample.usage,
        .on_the_way = sample.on_the_way,
        .nearer = sample.nearer,
        .committed = pages.committed,
        .active = pages.active,
        .dirty = pages.dirty,
        .absent = runtime.governor.slabs_absent,
        .stuck = governor_stuck(&runtime.governor, pages.dirty),
        .request = request,
        .granted = now - runtime.granted_ns < granted_for_ns ? runtime.granted : 0,
        .reclaimers = runtime_reclaimers(sample.usage >= sample.limits.critical ? PLIM_CRITICAL
                                                                                : PLIM_MEDIUM),
        .from_watcher = on_watcher,
        .held = atomic_load_explicit(&runtime.held, memory_order_relaxed),
        .offered = notify_is_offered(),
        .heard = notify_is_heard(),
        .listeners = atomic_load_explicit(&runtime.listeners, memory_order_relaxed),
    };
    runtime.limits = sample.limits;
    atomic_store_explicit(&runtime.counters.usage, sample.usage, memory_order_relaxed);
    counter_add(&runtime.counters.looks, 1);
    atomic_store_explicit(&runtime.looked_ns, now, memory_order_relaxed);
}

static void account_purge(uint64_t bytes, uint64_t cpu_ns)
{
    governor_spend(&runtime.governor, cpu_ns);
    counter_add(&runtime.counters.reclaim_cpu_ns, cpu_ns);
    counter_add(&runtime.counters.purges, 1);
    counter_add(&runtime.counters.purged_bytes, bytes);
}

static uint64_t purge(uint64_t bytes)
{
    uint64_t start = sys_thread_cpu_ns();
    struct arenas_pages before, after;
    arenas_read(&before);
    uint64_t freed = arenas_purge(bytes);
    uint64_t cost = sys_thread_cpu_since(start);
    arenas_read(&after);
    const struct governor_purged purged = {
        .now_ns = sys_now_ns(),
        .wanted = u64_min(bytes, before.dirty),
        .given = freed,
        .dirty_left = after.dirty,
        .refused = pages_refused(),
    };
    governor_purge_done(&runtime.governor, &purged);
    account_purge(freed, cost);
    return freed;
}

static struct je_slabs_given purge_slabs(uint64_t bytes)
{
    /* The child of a handler that forked inside a look goes on with it, and has no lock. */
    if (!lock_is_own(&runtime.look_lock))
        return (struct je_slabs_given){.left_alone = true};
    uint64_t start = sys_thread_cpu_ns();
    struct je_slabs_given given = arenas_drop_slabs(bytes);
    uint64_t cost = sys_thread_cpu_since(start);
    const struct governor_slabs_given result = {
        .now_ns = sys_now_ns(),
        .cpu_ns = cost,
        .bytes = given.bytes,
        .absent = given.absent,
        .is_exact = given.is_exact,
        .all = given.all,
    };
    governor_slabs_done(&runtime.governor, &result);
    if (!given.is_exact) /* it may have been nothing */
        given.bytes = 0;
    account_purge(given.bytes, cost);
    return given;
}

/* Until so many bytes have gone, or all slabs have been seen from wherever the last round was: a
 * turn of a millisecond at a time. */
static uint64_t purge_all_slabs(uint64_t bytes)
{
    uint64_t freed = 0;
    for (unsigned rounds = 0; rounds < 2 && freed < bytes;) {
        struct look_turn turn = look_begin(look_wait_ns);
        if (!turn.had)
            break;
        struct je_slabs_given given = purge_slabs(bytes - freed);
        look_end(turn);
        freed += given.bytes;
        rounds += given.all;
        if (given.left_alone)
            break;
    }
    account_look_now(); /* which knows that they may come back */
    return freed;
}

uint64_t runtime_purge(uint64_t bytes)
{
    struct look_turn turn = look_begin(look_wait_ns);
    if (!turn.had)
        return 0;
    arenas_flush_thread_cache();
    uint64_t freed = purge(bytes);
    if (freed < bytes)
        governor_slabs_read(&runtime.governor, arenas_slabs_free());
    look_end(turn);
    return freed < bytes ? freed + purge_all_slabs(bytes - freed) : freed;
}

static void log_look(const struct governor_input *in, const struct governor_decision *d)
{
    char text[300];
    struct fmt f = FMT_INIT(text);
    const struct {
        const char *name;
        uint64_t bytes;
    } parts[] = {
        {"look: usage ", in->usage}, {", committed ", in->committed},  {", dirty ", in->dirty},
        {", request ", in->request}, {", next after ", d->look_after}, {", purge ", d->purge},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        fmt_str(&f, parts[i].name);
        fmt_bytes(&f, parts[i].bytes);
    }
    log_line(LOG_DEBUG, text);
}

/* How far other threads may go on while this look lasts; then they wait for it. So much of it has
 * been taken already where no count shows it. */
static uint64_t set_stop(const struct governor_input *in, uint64_t taken)
{
    uint64_t stop_at = u64_less(in->committed + governor_meanwhile(in), taken);
    atomic_store_explicit(&runtime.stop_at, stop_at, memory_order_relaxed);
    return stop_at;
}

/* Counting them takes jemalloc 10 us an arena: a 64th of one CPU at most, an eighth where a kill is
 * near. */
static void count_slabs(const struct governor_input *in)
{
    static uint64_t counted_ns, cost_ns;
    uint64_t used = governor_undroppable(in);
    uint64_t pause_ns = u64_max(NS_PER_MS, (used >= in->limits.critical ? 8 : 64) * cost_ns);
    bool wanted = used >= in->limits.soft || runtime.governor.slabs_absent > 0;
    if (in->limits.source == LIMITS_NONE || !wanted || in->now_ns - counted_ns < pause_ns)
        return;
    uint64_t start = sys_thread_cpu_ns();
    governor_slabs_read(&runtime.governor, arenas_slabs_free());
    cost_ns = sys_thread_cpu_since(start);
    counted_ns = sys_now_ns();
}

/* Pages in the middle of slabs: with them gone usage is what the other decisions are made on. */
static void drop_slabs(struct governor_input *in)
{
    count_slabs(in);
    in->absent = runtime.governor.slabs_absent;
    uint64_t want = governor_slabs(&runtime.governor, in);
    if (want == 0)
        return;
    in->usage = u64_less(in->usage, purge_slabs(want).bytes);
    in->absent = runtime.governor.slabs_absent;
}

void look_locked(uint64_t request, bool on_watcher, struct governor_input *in,
                 struct governor_decision *ret)
{
    acquire(request, on_watcher, in);
    uint64_t stop_at = set_stop(in, 0);
    drop_slabs(in);
    governor_look(&runtime.governor, in, ret);
    set_stop(in, u64_less(stop_at, atomic_load_explicit(&runtime.stop_at, memory_order_relaxed)));
    if (log_wanted(LOG_DEBUG))
        log_look(in, ret);
    if (ret->flush_caches) {
        atomic_fetch_add_explicit(&runtime.flush_epoch, 1, memory_order_relaxed);
        arenas_flush_thread_cache();
    }
    if (ret->purge > 0)
        (void)purge(ret->purge);
    atomic_store_explicit(&runtime.look_freed, ret->look_freed, memory_order_relaxed);
    atomic_store_explicit(&runtime.look_refilled_ns, ret->look_refilled_ns, memory_order_relaxed);
    arenas_set_decay(ret->decay_ms);
    if (ret->level_changed)
        set_level(ret->level);
    notify_look(ret->wanting, ret->level, in->now_ns);
    /* Near the limit every request passes by, so that every thread empties its cache when asked. */
    account_look_after(ret->look_after, ret->level >= PLIM_LOW ? 0 : GATE_OPEN);
    if (ret->dormant)
        account_look_now(); /* the next allocation tells that the heap lives */
    stats_publish(in);
}

void look_meets(const struct governor_input *in)
{
    char text[200];
    struct fmt f = FMT_INIT(text);
    enum governor_meets meets = governor_meets(&runtime.governor, in);
    if (meets == GOVERNOR_SAME)
        return;
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
    stats_publish(in);
}
