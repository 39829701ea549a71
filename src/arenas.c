/* jemalloc's arenas through its public controls, see arenas.h. */
#include "arenas.h"

#include "account.h"
#include "decay_curve.h"
#include "hooks.h"
#include "je.h"
#include "pages.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/types.h>

enum {
    MIB_MAX = 6,
    ALL_ARENAS = 4096, /* MALLCTL_ARENAS_ALL */
    /* While pages are aged on purpose: 200 steps of 1 s each, so that no time that really passes
     * meanwhile counts. */
    AGEING_DECAY_MS = 200 * 1000,
};
#define AGEING_STEP_NS NS_PER_S

struct mib {
    size_t at[MIB_MAX];
    size_t len;
};

static struct {
    size_t page;
    unsigned automatic; /* arenas that threads share: those of narenas */
    unsigned huge;      /* the one for large requests; UINT32_MAX: there is none */
    struct mib decay_ms, decay, purge, epoch, allocated, flush, freed, active_ptr;
    int64_t decay_default; /* what jemalloc was configured with, milliseconds; -1: never */
    int64_t decay_now;     /* set at present */
} arenas;

static int mib_find(const char *name, struct mib *ret)
{
    ret->len = MIB_MAX;
    return -je_mallctlnametomib(name, ret->at, &ret->len);
}

/* Calls an action or writes a value; the index, where there is one, is the mib's second part. */
static int mib_write(const struct mib *m, unsigned arena, const void *value, size_t len)
{
    size_t at[MIB_MAX];
    memcpy(at, m->at, sizeof(at));
    at[1] = arena;
    return -je_mallctlbymib(at, m->len, NULL, NULL, (void *)(uintptr_t)value, len);
}

static int mib_read(const struct mib *m, void *ret, size_t len)
{
    return -je_mallctlbymib(m->at, m->len, ret, &len, NULL, 0);
}

static int find_controls(void)
{
    int rc = mib_find("arena.0.dirty_decay_ms", &arenas.decay_ms);
    rc = rc != 0 ? rc : mib_find("arena.0.decay", &arenas.decay);
    rc = rc != 0 ? rc : mib_find("arena.0.purge", &arenas.purge);
    rc = rc != 0 ? rc : mib_find("epoch", &arenas.epoch);
    rc = rc != 0 ? rc : mib_find("stats.allocated", &arenas.allocated);
    rc = rc != 0 ? rc : mib_find("thread.tcache.flush", &arenas.flush);
    rc = rc != 0 ? rc : mib_find("thread.deallocated", &arenas.freed);
    rc = rc != 0 ? rc : mib_find("experimental.arenas.0.pactivep", &arenas.active_ptr);
    return rc;
}

/* Brings jemalloc's statistics up to date; only then does it know new arenas by their index. */
static void refresh(void)
{
    uint64_t epoch = 1;
    (void)je_mallctlbymib(arenas.epoch.at, arenas.epoch.len, NULL, NULL, &epoch, sizeof(epoch));
}

/* Free runs of this size are given back at once; the next ones are page faults. jemalloc's 8 MiB is
 * just what it maps at first for a thread that frees all it has. Its arena for requests of 8 MiB
 * and more gives all back at once. */
static void purge_eagerly_from(unsigned arena, size_t bytes)
{
    struct mib m;
    if (mib_find("arena.0.oversize_threshold", &m) == 0)
        (void)mib_write(&m, arena, &bytes, sizeof(bytes));
}

/* Not of jemalloc's own arena for large requests, the one after the automatic ones: it keeps none.
 */
static int set_decay(unsigned arena, int64_t ms)
{
    if (arena == arenas.huge)
        return -EINVAL;
    ssize_t value = (ssize_t)ms;
    return mib_write(&arenas.decay_ms, arena, &value, sizeof(value));
}

/* A new arena's count of pages in use; one that is gone by now has none. jemalloc knows the first
 * arena without a refresh. */
static void find_active_pages(unsigned arena)
{
    const size_t *active = NULL, *unknown = &account_new;
    struct mib m = arenas.active_ptr;
    m.at[2] = arena;
    if (mib_read(&m, &active, sizeof(active)) != 0) {
        refresh();
        if (mib_read(&m, &active, sizeof(active)) != 0)
            active = NULL;
    }
    (void)atomic_compare_exchange_strong_explicit(&account.active_pages[arena], &unknown, active,
                                                  memory_order_relaxed, memory_order_relaxed);
}

int arenas_init(void)
{
    int64_t decay_ms = 0;
    size_t oversize = 0;
    size_t len = sizeof(arenas.automatic), decay_len = sizeof(decay_ms);
    int rc = -je_mallctl("opt.narenas", &arenas.automatic, &len, NULL, 0);
    rc =
        rc != 0 ? rc : -je_mallctl("arenas.page", &arenas.page, &(size_t){sizeof(size_t)}, NULL, 0);
    rc = rc != 0 ? rc : -je_mallctl("arenas.dirty_decay_ms", &decay_ms, &decay_len, NULL, 0);
    rc = rc != 0 ? rc
                 : -je_mallctl("opt.oversize_threshold", &oversize, &(size_t){sizeof(oversize)},
                               NULL, 0);
    arenas.huge = oversize > 0 ? arenas.automatic : UINT32_MAX;
    rc = rc != 0 ? rc : find_controls();
    if (rc == 0 && JE_NEEDS_HOOKS)
        rc = hooks_install();
    if (rc != 0)
        return rc;
    arenas.decay_default = arenas.decay_now = decay_ms;
    return 0;
}

/* jemalloc updates its counter with atomic instructions; a plain size_t is what it hands out. */
static uint64_t arena_active(unsigned i)
{
    const size_t *pages = atomic_load_explicit(&account.active_pages[i], memory_order_relaxed);
    return pages == NULL ? 0 : (uint64_t)__atomic_load_n(pages, __ATOMIC_RELAXED) * arenas.page;
}

static bool is_counted(unsigned arena)
{
    return atomic_load_explicit(&account.active_pages[arena], memory_order_relaxed) != NULL;
}

/* Arenas are made when threads first need them. */
static void find_new_arenas(void)
{
    for (unsigned i = 0, count = account_arenas(); i < count; i++) {
        if (atomic_load_explicit(&account.active_pages[i], memory_order_relaxed) != &account_new)
            continue;
        find_active_pages(i);
        if (i < arenas.automatic) {
            purge_eagerly_from(i, (size_t)(32 * MiB));
            if (arenas.decay_now != arenas.decay_default && arenas.decay_now != INT64_MIN)
                (void)set_decay(i, arenas.decay_now);
        }
    }
}

static uint64_t all_active(void)
{
    uint64_t active = 0;
    for (unsigned i = 0, count = account_arenas(); i < count; i++)
        active += arena_active(i);
    return active;
}

void arenas_read(struct arenas_pages *ret)
{
    find_new_arenas();
    *ret = (struct arenas_pages){.committed = account_committed()};
    ret->active = all_active();
    ret->dirty = u64_less(ret->committed, ret->active);
}

uint64_t arenas_free(void)
{
    return u64_less(account_committed(), all_active());
}

uint64_t arenas_allocated(void)
{
    size_t allocated = 0;
    refresh();
    (void)mib_read(&arenas.allocated, &allocated, sizeof(allocated));
    return allocated;
}

uint64_t arenas_thread_freed(void)
{
    uint64_t freed = 0;
    (void)mib_read(&arenas.freed, &freed, sizeof(freed));
    return freed;
}

/*
 * Purges that share of the arena's free pages, the oldest first, by letting them age on a clock
 * that runs ahead: setting the decay time anew makes jemalloc take all free pages for new at the
 * next step; then as many steps pass as bring the kept share down to what is wanted. Nothing goes
 * where jemalloc leaves it to a background thread, or another thread is at it.
 */
static void purge_oldest(unsigned arena, unsigned steps)
{
    /* Two steps, as jemalloc ends an epoch up to one step late by design (jitter). */
    const uint64_t all_new = 2 * AGEING_STEP_NS;
    if (set_decay(arena, AGEING_DECAY_MS) != 0)
        return;
    je_clock_ahead(all_new);
    (void)mib_write(&arenas.decay, arena, NULL, 0);
    je_clock_ahead(all_new + (steps + 1) * AGEING_STEP_NS);
    (void)mib_write(&arenas.decay, arena, NULL, 0);
    je_clock_ahead(0);
    (void)set_decay(arena, arenas.decay_now);
}

/* The same share of every arena: which one has how many is known only to jemalloc. */
static void purge_share(uint64_t bytes, uint64_t dirty)
{
    unsigned steps = decay_steps_for(bytes, dirty);
    if (steps >= DECAY_STEPS || !je_clock_ahead(0))
        return;
    for (unsigned i = 0, count = account_arenas(); i < count; i++)
        if (is_counted(i))
            purge_oldest(i, steps);
}

uint64_t arenas_purge(uint64_t bytes)
{
    struct arenas_pages pages;
    uint64_t before = pages_given_back();
    arenas_read(&pages);
    if (bytes < pages.dirty)
        purge_share(bytes, pages.dirty);
    uint64_t want = u64_min(bytes, pages.dirty);
    if (bytes == UINT64_MAX)
        (void)mib_write(&arenas.purge, ALL_ARENAS, NULL, 0);
    for (unsigned i = 0, count = account_arenas(); i < count; i++)
        if (pages_given_back() - before < want && is_counted(i))
            (void)mib_write(&arenas.purge, i, NULL, 0);
    return pages_given_back() - before;
}

void arenas_set_decay(int64_t ms)
{
    /* MALLOC_CONF wins; -1 stands for never. */
    if (ms < 0 || (arenas.decay_default >= 0 && ms > arenas.decay_default))
        ms = arenas.decay_default;
    if (ms == arenas.decay_now)
        return;
    arenas.decay_now = ms;
    for (unsigned i = 0, count = account_arenas(); i < count; i++)
        if (is_counted(i))
            (void)set_decay(i, ms);
}

void arenas_fork_child(void)
{
    arenas.decay_now = INT64_MIN; /* whatever it is, set it anew */
}

void arenas_age(void)
{
    (void)mib_write(&arenas.decay, ALL_ARENAS, NULL, 0);
}

void arenas_have_thread_cache(void)
{
    const size_t larger_than_a_cache = (size_t)(64 * KiB);
    bool on = false;
    if (je_mallctl("opt.tcache", &on, &(size_t){sizeof(on)}, NULL, 0) != 0 || !on)
        return;
    /* jemalloc does not see that it got no room for one, and would use it. */
    void *room = je_mallocx(larger_than_a_cache, JE_ARENA_NO_CACHE(0));
    if (room == NULL)
        return;
    je_dallocx(room, JE_ARENA_NO_CACHE(0));
    (void)je_mallctl("thread.tcache.enabled", NULL, NULL, &on, sizeof(on));
}

void arenas_flush_thread_cache(void)
{
    (void)je_mallctlbymib(arenas.flush.at, arenas.flush.len, NULL, NULL, NULL, 0);
}
