/* jemalloc's arenas through its public controls, see arenas.h: what they hold. */
#include "arenas_internal.h"
#include "fmt.h"
#include "hooks.h"
#include "inside.h"
#include "je.h"
#include "sys.h"

#include <string.h>

static struct {
    size_t page;
    unsigned automatic; /* arenas that threads share: those of narenas */
    struct mib epoch, allocated, active, flush, freed, active_ptr;
    size_t active_at; /* in what inside_arena() gives */
    bool coalesced;   /* as was wanted last */
    bool settled;     /* and all arenas have it so */
} arenas;

int mib_write(const struct mib *m, unsigned arena, const void *value, size_t len)
{
    size_t at[MIB_MAX];
    memcpy(at, m->at, sizeof(at));
    at[1] = arena;
    return -je_mallctlbymib(at, m->len, NULL, NULL, (void *)(uintptr_t)value, len);
}

int mib_read(const struct mib *m, void *ret, size_t len)
{
    return -je_mallctlbymib(m->at, m->len, ret, &len, NULL, 0);
}

int control_read(const char *name, void *ret, size_t len)
{
    return -je_mallctl(name, ret, &len, NULL, 0);
}

int arena_control(const char *prefix, unsigned arena, const char *suffix, void *ret, size_t len,
                  const void *value)
{
    char name[64];
    struct fmt f = FMT_INIT(name);
    fmt_str(&f, prefix);
    fmt_u64(&f, arena);
    fmt_str(&f, suffix);
    return ret != NULL ? control_read(name, ret, len)
                       : -je_mallctl(name, NULL, NULL, (void *)(uintptr_t)value, len);
}

size_t arena_statistic(unsigned arena, const char *name)
{
    size_t value = 0;
    (void)arena_control("stats.arenas.", arena, name, &value, sizeof(value), NULL);
    return value;
}

int mibs_find(const struct mib_name *names, size_t count)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct mib *m = names[i].ret;
        m->len = MIB_MAX;
        rc = -je_mallctlnametomib(names[i].name, m->at, &m->len);
    }
    return rc;
}

static int find_controls(void)
{
    static const struct mib_name names[] = {
        {"epoch", &arenas.epoch},
        {"stats.allocated", &arenas.allocated},
        {"stats.active", &arenas.active},
        {"thread.tcache.flush", &arenas.flush},
        {"thread.deallocated", &arenas.freed},
        {"experimental.arenas.0.pactivep", &arenas.active_ptr},
    };
    return mibs_find(names, ARRAY_LEN(names));
}

void arenas_refresh(void)
{
    uint64_t epoch = 1;
    (void)je_mallctlbymib(arenas.epoch.at, arenas.epoch.len, NULL, NULL, &epoch, sizeof(epoch));
}

/* Free runs of this size are given back at once; the next ones are page faults. jemalloc's 8 MiB is
 * just what it maps at first for a thread that frees all it has. Where there is an arena for
 * requests of 8 MiB and more, it gives all back at once. */
static void purge_eagerly_from(unsigned arena, size_t bytes)
{
    (void)arena_control("arena.", arena, ".oversize_threshold", NULL, sizeof(bytes), &bytes);
}

static const size_t *known_active_pages(unsigned arena)
{
    const size_t *active;
    struct mib m = arenas.active_ptr;
    m.at[2] = arena;
    return mib_read(&m, &active, sizeof(active)) == 0 ? active : NULL;
}

/* An arena's count of pages in use; NULL: it is gone by now. Found at the same offset in the arena
 * as in the first one: jemalloc itself tells of new arenas only after a refresh, which takes
 * microseconds for each arena. */
static const size_t *ask_active_pages(unsigned arena)
{
    const char *at = inside_arena(arena);
    if (at != NULL && arenas.active_at != 0)
        return (const size_t *)(uintptr_t)(at + arenas.active_at);
    const size_t *active = known_active_pages(arena);
    if (active != NULL)
        return active;
    arenas_refresh();
    return known_active_pages(arena);
}

static void learn_layout(void)
{
    const char *first = inside_arena(0), *active = (const char *)known_active_pages(0);
    if (first != NULL && active != NULL)
        arenas.active_at = (size_t)(active - first);
}

int arenas_init(void)
{
    int rc = control_read("opt.narenas", &arenas.automatic, sizeof(arenas.automatic));
    if (rc == 0)
        rc = control_read("arenas.page", &arenas.page, sizeof(arenas.page));
    if (rc == 0)
        rc = find_controls();
    if (rc == 0)
        rc = decay_init(arenas.automatic);
    if (rc == 0 && JE_NEEDS_HOOKS)
        rc = arenas_install_hooks(arenas.page);
    learn_layout();
    return rc;
}

static const size_t *active_pages(unsigned arena)
{
    return atomic_load_explicit(&account_active_pages[arena], memory_order_relaxed);
}

/* jemalloc updates its counter with atomic instructions; a plain size_t is what it hands out. */
static uint64_t active_bytes(const size_t *pages)
{
    return pages == NULL ? 0 : (uint64_t)__atomic_load_n(pages, __ATOMIC_RELAXED) * arenas.page;
}

void arenas_find_new(void)
{
    for (unsigned i = 0, count = account_arenas(); i < count; i++) {
        const size_t *unknown = &account_new;
        if (active_pages(i) != unknown)
            continue;
        (void)atomic_compare_exchange_strong_explicit(&account_active_pages[i], &unknown,
                                                      ask_active_pages(i), memory_order_relaxed,
                                                      memory_order_relaxed);
        if (i < arenas.automatic)
            purge_eagerly_from(i, (size_t)(32 * MiB)); /* glibc's mmap threshold ends there, too */
        decay_begin(i);
        arenas.settled = false;
    }
}

bool arenas_coalesce(bool at_once)
{
    bool done = true, before = arenas.coalesced;
    if (at_once == before && arenas.settled)
        return before;
    uint64_t signals = sys_block_signals();
    for (unsigned i = 0, count = account_arenas(); i < count; i++)
        done = inside_coalesce(i, at_once) && done;
    sys_restore_signals(signals);
    arenas.coalesced = at_once;
    arenas.settled = done;
    return before;
}

void arenas_unsettle(void)
{
    arenas.settled = false;
}

void arenas_read(struct arenas_pages *ret)
{
    *ret = (struct arenas_pages){.committed = account_committed()};
    for (unsigned i = 0, count = account_arenas(); i < count; i++) {
        const size_t *pages = active_pages(i);
        ret->active += active_bytes(pages == &account_new ? ask_active_pages(i) : pages);
    }
    ret->dirty = u64_less(ret->committed, ret->active);
}

uint64_t arenas_free(void)
{
    uint64_t active = 0;
    for (unsigned i = 0, count = account_arenas(); i < count; i++)
        active += active_bytes(active_pages(i));
    return u64_less(account_committed(), active);
}

/* Bytes in pages that jemalloc holds there, in use or free. */
static uint64_t held(unsigned arena)
{
    return (arena_statistic(arena, ".pactive") + arena_statistic(arena, ".pdirty") +
            arena_statistic(arena, ".pmuzzy")) *
           arenas.page;
}

void arenas_hooks_set(unsigned arena)
{
    const struct je_extent_hooks *now = NULL;
    if (arena >= ACCOUNT_ARENAS ||
        arena_control("arena.", arena, ".extent_hooks", &now, sizeof(now), NULL) != 0 ||
        hooks_count(now) == arena_is_counted(arena))
        return;
    arenas_refresh();
    if (!hooks_count(now)) {
        atomic_store_explicit(&account_active_pages[arena], NULL, memory_order_relaxed);
        account_add(-(int64_t)held(arena));
        return;
    }
    /* How much of its reserve is committed is not known: all counts as such, as its being given
     * back will be counted. */
    account_arena_made(arena);
    account_add((int64_t)(held(arena) + arena_statistic(arena, ".retained")));
}

uint64_t arenas_allocated(void)
{
    size_t allocated = 0;
    arenas_refresh();
    (void)mib_read(&arenas.allocated, &allocated, sizeof(allocated));
    return allocated;
}

uint64_t arenas_slabs_free(void)
{
    size_t active = 0;
    uint64_t allocated = arenas_allocated();
    (void)mib_read(&arenas.active, &active, sizeof(active));
    return u64_less(active, allocated);
}

struct slabs_given arenas_drop_slabs(uint64_t bytes)
{
    uint64_t signals = sys_block_signals();
    struct slabs_given given = slabs_drop(bytes);
    sys_restore_signals(signals);
    return given;
}

uint64_t arenas_thread_freed(void)
{
    uint64_t freed = 0;
    (void)mib_read(&arenas.freed, &freed, sizeof(freed));
    return freed;
}

void arenas_have_thread_cache(void)
{
    const size_t larger_than_a_cache = (size_t)(64 * KiB);
    bool on = false;
    if (control_read("opt.tcache", &on, sizeof(on)) != 0 || !on)
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
