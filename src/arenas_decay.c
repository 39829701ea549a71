/*
 * Giving pages back, see arenas.h: by amount, and by the decay times that jemalloc goes by.
 *
 * A decay time that the program sets for an arena of its choice stays. One that is neither the
 * configured time nor one of the last two set here is taken for the program's. Such an arena is
 * purged by amount all the same.
 */
#include "arenas_internal.h"
#include "decay_curve.h"
#include "inside.h"
#include "je.h"
#include "pages.h"

#include <errno.h>
#include <sys/types.h>

enum {
    ALL_ARENAS = 4096, /* MALLCTL_ARENAS_ALL */
    /* The decay time while pages are aged on purpose: 200 steps of 1 s each, long enough for the
     * time that really passes meanwhile not to matter. */
    AGEING_DECAY_MS = 200 * 1000,
};
#define AGEING_STEP_NS NS_PER_S

/* Written under the look lock; a forked child may find it half written by another thread. */
static struct {
    unsigned huge; /* the arena for large requests; UINT32_MAX: there is none */
    struct mib decay_ms, decay, purge;
    int64_t configured;  /* milliseconds; -1: never */
    int64_t now, before; /* the last two that were set here */
    bool is_child;
    int64_t aged_ms;       /* own decay time of the arena that is being aged, */
    _Atomic unsigned aged; /* and its index plus one; written last, 0: none is */
} decay;

int decay_init(unsigned automatic)
{
    ssize_t ms = 0;
    size_t oversize = 0;
    static const struct mib_name names[] = {
        {"arena.0.dirty_decay_ms", &decay.decay_ms},
        {"arena.0.decay", &decay.decay},
        {"arena.0.purge", &decay.purge},
    };
    int rc = control_read("arenas.dirty_decay_ms", &ms, sizeof(ms));
    if (rc == 0)
        rc = control_read("opt.oversize_threshold", &oversize, sizeof(oversize));
    if (rc == 0)
        rc = mibs_find(names, ARRAY_LEN(names));
    decay.huge = oversize > 0 ? automatic : UINT32_MAX;
    decay.configured = decay.now = decay.before = ms;
    return rc;
}

/* Not for jemalloc's own arena for large requests, the one after the automatic ones: it keeps no
 * free pages. */
static int set_decay(unsigned arena, int64_t ms)
{
    if (arena == decay.huge)
        return -EINVAL;
    ssize_t value = (ssize_t)ms;
    return mib_write(&decay.decay_ms, arena, &value, sizeof(value));
}

static int get_decay(unsigned arena, int64_t *ret)
{
    struct mib m = decay.decay_ms;
    ssize_t ms = 0;
    m.at[1] = arena;
    int rc = mib_read(&m, &ms, sizeof(ms));
    if (rc == 0)
        *ret = ms;
    return rc;
}

static bool is_ours(int64_t ms)
{
    return ms == decay.now || ms == decay.before || ms == decay.configured;
}

void decay_begin(unsigned arena)
{
    int64_t ms;
    if (arena_is_counted(arena) && get_decay(arena, &ms) == 0 && ms != decay.now && is_ours(ms))
        (void)set_decay(arena, decay.now);
}

static void set_all(void)
{
    for (unsigned i = 0, count = account_arenas(); i < count; i++)
        decay_begin(i);
}

static void end_ageing(unsigned arena, int64_t ms)
{
    (void)set_decay(arena, ms);
    atomic_store_explicit(&decay.aged, 0, memory_order_release);
}

/* In a forked child: an ageing that another thread, which is not there, had begun. */
static void end_ageing_of_parent(void)
{
    unsigned aged = atomic_load_explicit(&decay.aged, memory_order_acquire);
    if (aged != 0)
        end_ageing(aged - 1, decay.aged_ms);
}

/*
 * Purges a share of the arena's free pages, the oldest first, by letting them age on a clock that
 * runs ahead. Setting the decay time anew makes jemalloc take all free pages for new at the next
 * step; then as many steps pass as bring the kept share down to what is wanted. Nothing is purged
 * where jemalloc leaves that to a background thread, or another thread is purging the arena.
 */
static void purge_oldest(unsigned arena, unsigned steps)
{
    /* Two steps, as jemalloc ends an epoch up to one step late by design (jitter). */
    const uint64_t all_new = 2 * AGEING_STEP_NS;
    int64_t ms;
    if (get_decay(arena, &ms) != 0)
        return;
    decay.aged_ms = ms;
    atomic_store_explicit(&decay.aged, arena + 1, memory_order_release);
    if (set_decay(arena, AGEING_DECAY_MS) == 0) {
        inside_clock_ahead(all_new);
        (void)mib_write(&decay.decay, arena, NULL, 0);
        inside_clock_ahead(all_new + (steps + 1) * AGEING_STEP_NS);
        (void)mib_write(&decay.decay, arena, NULL, 0);
        inside_clock_ahead(0);
    }
    end_ageing(arena, ms); /* also in a handler's child, which may have ended it already */
}

/* The same share of every arena: only jemalloc knows how many pages are free in which. */
static void purge_share(uint64_t bytes, uint64_t dirty)
{
    unsigned steps = decay_steps_for(bytes, dirty);
    if (steps >= DECAY_STEPS || !inside_clock_ahead(0))
        return;
    for (unsigned i = 0, count = account_arenas(); i < count; i++)
        if (arena_is_counted(i))
            purge_oldest(i, steps);
}

uint64_t arenas_purge(uint64_t bytes)
{
    struct arenas_pages pages;
    uint64_t before = pages_given_back();
    end_ageing_of_parent();
    arenas_find_new();
    arenas_read(&pages);
    /* So that jemalloc joins, as it purges, what was freed before joining at once began: it would
     * purge that piece by piece otherwise. */
    bool coalesced = arenas_coalesce(false);
    if (bytes < pages.dirty)
        purge_share(bytes, pages.dirty);
    uint64_t want = u64_min(bytes, pages.dirty);
    if (bytes == UINT64_MAX)
        (void)mib_write(&decay.purge, ALL_ARENAS, NULL, 0);
    for (unsigned i = 0, count = account_arenas(); i < count; i++)
        if (pages_given_back() - before < want && arena_is_counted(i))
            (void)mib_write(&decay.purge, i, NULL, 0);
    (void)arenas_coalesce(coalesced);
    return pages_given_back() - before;
}

void arenas_set_decay(int64_t ms)
{
    /* MALLOC_CONF wins; -1 stands for never. */
    if (ms < 0 || (decay.configured >= 0 && ms > decay.configured))
        ms = decay.configured;
    if (decay.is_child) { /* another thread of the parent may have been half through */
        decay.is_child = false;
        end_ageing_of_parent();
        set_all();
    }
    if (ms == decay.now)
        return;
    decay.before = decay.now;
    decay.now = ms;
    set_all();
}

void arenas_fork_child(void)
{
    arenas_unsettle();
    decay.is_child = true;
}

void arenas_age(void)
{
    (void)mib_write(&decay.decay, ALL_ARENAS, NULL, 0);
}
