/* One look: acquire, decide, act, see look.h. */
#include "look_internal.h"

#include "account.h"
#include "admit.h"
#include "arenas.h"
#include "at_limit.h"
#include "log.h"
#include "notify.h"
#include "pressure_fd.h"
#include "runtime.h"
#include "stats.h"
#include "thread_state.h"
#include "watcher.h"

struct look look;

struct look_turn look_begin(uint64_t within_ns)
{
    struct look_turn turn = {.was_inside = inside_enter()};
    turn.had = lock_take_within(&look.lock, within_ns);
    if (!turn.had)
        inside_leave(turn.was_inside);
    return turn;
}

struct look_turn look_begin_unless_own(uint64_t within_ns)
{
    return look_begin(lock_is_own(&look.lock) ? 0 : within_ns);
}

void look_end(struct look_turn turn)
{
    if (!turn.had)
        return;
    lock_release(&look.lock);
    inside_leave(turn.was_inside);
}

void look_fmt_standing(struct fmt *f, const struct limits *limits)
{
    fmt_str(f, "usage ");
    fmt_bytes(f, look_usage());
    fmt_str(f, ", soft limit ");
    fmt_bytes(f, limits->soft);
    fmt_str(f, ", hard limit ");
    fmt_bytes(f, limits->hard);
}

static void set_level(enum plim_level level)
{
    atomic_store_explicit(&look.level, (uint32_t)level, memory_order_relaxed);
    pressure_fd_signal();
    if (log_wanted(LOG_INFO)) {
        char text[160];
        struct fmt f = FMT_INIT(text);
        fmt_str(&f, "level ");
        fmt_str(&f, page_level_word(level));
        fmt_str(&f, ": ");
        look_fmt_standing(&f, &look.limits);
        log_line(LOG_INFO, text);
    }
}

/* New arenas are found first: their pages in use would count as free otherwise. */
static void measure(uint64_t request, bool may_block, struct arenas_pages *pages,
                    struct usage_sample *sample)
{
    arenas_find_new();
    arenas_read(pages);
    usage_read(&look.usage, pages->committed, request, may_block, sample);
}

/* It takes a system call. A child of vfork, which must open nothing, has its own way to read it. */
static uint64_t in_memory(const struct governor_input *in)
{
    if (!governor_may_be_crowded(in))
        return UNLIMITED;
    if (runtime_is_ours())
        usage_open_process(&look.usage);
    return usage_resident(&look.usage);
}

static void acquire(uint64_t request, enum look_by by, struct governor_input *in)
{
    uint64_t now = sys_now_ns();
    struct usage_sample sample;
    struct arenas_pages pages;
    if (now - look.refreshed_ns >= usage_pause_ns(look.usage.refresh_cost_ns)) {
        if (look.refreshed_ns != 0)
            usage_refresh(&look.usage);
        look.refreshed_ns = now;
    }
    measure(request, by == LOOK_BY_WATCHER, &pages, &sample);
    requests_look(now, sample.limits.hard);
    *in = (struct governor_input){
        .now_ns = now,
        .limits = sample.limits,
        .usage = sample.usage,
        .on_the_way = sample.on_the_way,
        .swap_room = sample.swap_room,
        .nearer = sample.nearer,
        .committed = pages.committed,
        .active = pages.active,
        .dirty = pages.dirty,
        .absent = look.governor.slabs_absent,
        .stuck = governor_stuck(&look.governor, pages.dirty),
        .request = request,
        .promised = requests_promised() + requests_waiting(),
        .lately = requests_lately() + requests_waiting(),
        .reclaimers = watcher_reclaimers(sample.usage >= sample.limits.critical ? PLIM_CRITICAL
                                                                                : PLIM_MEDIUM),
        .from_watcher = by == LOOK_BY_WATCHER,
        .aside = by == LOOK_ASIDE,
        .watched = watcher_runs(),
        .held = atomic_load_explicit(&at_limit.held, memory_order_relaxed),
        .alone = at_limit_is_alone(now),
        .in_vain = now < thread_state.in_vain_until_ns,
        .offered = notify_is_offered(),
        .heard = notify_has_reader(),
        .listeners = atomic_load_explicit(&runtime.listeners, memory_order_relaxed),
    };
    in->in_memory = in_memory(in);
    in->in_flight = governor_in_flight(&look.governor, in);
    look.limits = sample.limits;
    atomic_store_explicit(&look.used, sample.usage, memory_order_relaxed);
    counter_add(PAGE_LOOKS, 1);
    atomic_store_explicit(&admit.looked_ns, now, memory_order_relaxed);
}

static void log_look(const struct governor_input *in, const struct governor_decision *d)
{
    char text[300];
    struct fmt f = FMT_INIT(text);
    const struct {
        const char *name;
        uint64_t bytes;
    } parts[] = {
        {"look: usage ", in->usage},     {", committed ", in->committed},
        {", dirty ", in->dirty},         {", request ", in->request},
        {", in flight ", in->in_flight}, {", next after ", d->look_after},
        {", purge ", d->purge},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        fmt_str(&f, parts[i].name);
        fmt_bytes(&f, parts[i].bytes);
    }
    log_line(LOG_DEBUG, text);
}

/* How far other threads may go on while this look lasts; then they wait for it. `taken`: bytes of
 * that already taken where no count shows them. */
static uint64_t set_stop(const struct governor_input *in, uint64_t taken)
{
    uint64_t stop_at =
        u64_less(in->committed + requests_promised() + governor_meanwhile(in), taken);
    atomic_store_explicit(&admit.stop_at, stop_at, memory_order_relaxed);
    return stop_at;
}

/* Call when the look has purged. */
static void set_low(const struct governor_input *in, uint64_t purged)
{
    uint64_t committed = account_committed(), low_at = UINT64_MAX;
    uint64_t used = u64_max(u64_less(in->usage, purged), committed) + in->nearer;
    if (in->limits.low != UNLIMITED)
        low_at = committed + u64_less(in->limits.low, used);
    atomic_store_explicit(&admit.low_at, low_at, memory_order_relaxed);
}

/* By how much more is committed than the decision went by: other threads have taken some meanwhile,
 * reused what was to be purged, or are still giving it back. */
static uint64_t beyond(const struct governor_input *in, const struct governor_decision *d)
{
    uint64_t purged = u64_min(d->purge, governor_purgeable(in));
    return u64_less(account_committed(), u64_less(in->committed, purged));
}

void look_locked(uint64_t request, enum look_by by, struct governor_input *in,
                 struct governor_decision *ret)
{
    acquire(request, by, in);
    uint64_t stop_at = set_stop(in, 0);
    look_drop_slabs(in);
    governor_look(&look.governor, in, ret);
    set_stop(in, u64_less(stop_at, atomic_load_explicit(&admit.stop_at, memory_order_relaxed)));
    if (log_wanted(LOG_DEBUG))
        log_look(in, ret);
    if (ret->flush_caches) {
        atomic_fetch_add_explicit(&admit.flush_epoch, 1, memory_order_relaxed);
        arenas_flush_thread_cache();
    }
    uint64_t given = ret->purge > 0 ? look_give_back(ret->purge) : 0;
    governor_gave(&look.governor, in, given, ret);
    set_low(in, given);
    atomic_store_explicit(&admit.look_freed, ret->look_freed, memory_order_relaxed);
    atomic_store_explicit(&admit.look_refilled_ns, ret->look_refilled_ns, memory_order_relaxed);
    arenas_set_decay(ret->decay_ms);
    (void)arenas_coalesce(ret->coalesce);
    if (ret->level_changed)
        set_level(ret->level);
    notify_look(ret->wanting, ret->level, in->now_ns);
    /* Near the limit every request passes by, so that every thread empties its cache when asked. */
    account_look_after(u64_less(ret->look_after, beyond(in, ret)),
                       ret->level >= PLIM_LOW ? 0 : GATE_OPEN);
    if (ret->dormant)
        account_look_now(); /* the next allocation tells that the heap lives */
    bool lets = ret->hold_ns == 0 && !ret->no_room && in->request < look.usage.ram;
    if (lets && in->request < in->limits.hard)
        requests_promise(in->request);
    stats_publish(in, lets ? in->request : 0);
}

bool look_once(uint64_t within_ns, uint64_t request, struct governor_input *in,
               struct governor_decision *ret)
{
    struct look_turn turn = look_begin(within_ns);
    if (!turn.had)
        return false;
    look_locked(request, LOOK_BY_GROWTH, in, ret);
    look_end(turn);
    return true;
}

/* The room below LOW as last read, and when: the time is stored last, with release. */
static struct {
    _Atomic uint64_t bytes, read_ns;
} room;

/* Free pages do not count as used. As some of them may not be in memory, at least the pages in use
 * do. */
static uint64_t read_room(uint64_t request)
{
    struct usage_sample sample;
    struct arenas_pages pages;
    struct look_turn turn = look_begin(look_wait_ns);
    if (!turn.had)
        return 0;
    measure(request, false, &pages, &sample);
    look_end(turn);
    uint64_t used =
        u64_max(u64_less(sample.usage, pages.dirty), u64_min(sample.usage, pages.active));
    return sample.limits.low == UNLIMITED ? UINT64_MAX
                                          : u64_less(sample.limits.low, used + sample.nearer);
}

bool look_fits_below_low(uint64_t bytes)
{
    uint64_t now = sys_now_ns();
    uint64_t age_ns = u64_less(now, atomic_load_explicit(&room.read_ns, memory_order_acquire));
    uint64_t then = atomic_load_explicit(&room.bytes, memory_order_relaxed);
    if (age_ns < NS_PER_MS && bytes < then / 2)
        return true;
    then = read_room(bytes);
    atomic_store_explicit(&room.bytes, then, memory_order_relaxed);
    atomic_store_explicit(&room.read_ns, now, memory_order_release);
    return bytes < then;
}

void look_meets(const struct governor_input *in)
{
    char text[200];
    struct fmt f = FMT_INIT(text);
    enum governor_meets meets = governor_meets(&look.governor, in);
    if (meets == GOVERNOR_SAME)
        return;
    atomic_store_explicit(&look.cannot_meet, meets == GOVERNOR_CANNOT, memory_order_relaxed);
    fmt_str(&f, meets == GOVERNOR_CANNOT ? "cannot meet the limit: " : "meets the limit again: ");
    look_fmt_standing(&f, &look.limits);
    if (meets == GOVERNOR_CANNOT)
        fmt_str(&f, "; what is left is in use");
    log_line(LOG_WARN, text);
    stats_publish(in, 0);
}
