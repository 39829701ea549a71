/* The extent hooks, see hooks.h. They run under jemalloc's locks. */
#include "hooks.h"

#include "account.h"
#include "pages.h"
#include "sys.h"

/* An arena's own metadata comes this way too, as whole huge-page-aligned blocks, mapped at once and
 * touched bit by bit. A purge cannot give it back, so it is not counted. */
static bool is_metadata(size_t size, size_t alignment)
{
    const size_t block = (size_t)(2 * MiB);
    return alignment == block && size % block == 0;
}

/* Bytes of each arena's metadata: as it is destroyed they are subtracted as if they had been
 * counted, and so are added back. Written under the arena's locks, and by whoever destroys it.
 * Relaxed: only a sum. */
static _Atomic uint64_t metadata[ACCOUNT_ARENAS];

/* Notes the arena at the first call for its index, or the first since the last arena there was
 * destroyed. */
static void find_arena(unsigned arena)
{
    if (!arena_is_counted(arena))
        account_arena_made(arena);
}

static void *hook_alloc(struct je_extent_hooks *h, void *addr, size_t size, size_t alignment,
                        bool *zero, bool *commit, unsigned arena)
{
    bool is_own = is_metadata(size, alignment);
    bool counted = *commit && !is_own;
    (void)h;
    *zero = true;
    if (arena < ACCOUNT_ARENAS)
        find_arena(arena);
    void *p = pages_reserve(addr, size, alignment, &counted);
    if (p != NULL && is_own && arena < ACCOUNT_ARENAS)
        atomic_fetch_add_explicit(&metadata[arena], size, memory_order_relaxed);
    return p;
}

struct hooks_end hooks_arena_ends(unsigned arena)
{
    if (arena >= ACCOUNT_ARENAS)
        return (struct hooks_end){0};
    return (struct hooks_end){
        .arena = arena,
        .active = atomic_load_explicit(&account_active_pages[arena], memory_order_relaxed),
        .metadata = atomic_load_explicit(&metadata[arena], memory_order_relaxed),
    };
}

/* The index may have been given to a new arena by now. */
void hooks_arena_ended(const struct hooks_end *end)
{
    const size_t *active = end->active;
    (void)atomic_compare_exchange_strong_explicit(&account_active_pages[end->arena], &active, NULL,
                                                  memory_order_relaxed, memory_order_relaxed);
    atomic_fetch_sub_explicit(&metadata[end->arena], end->metadata, memory_order_relaxed);
    account_add((int64_t)end->metadata);
}

/* Refused: the address space is kept, its pages go through decommit. */
static bool hook_dalloc(struct je_extent_hooks *h, void *addr, size_t size, bool committed,
                        unsigned arena)
{
    (void)h, (void)addr, (void)size, (void)committed, (void)arena;
    return true;
}

/* An arena is destroyed (arena.<i>.destroy): here the address space does go. */
static void hook_destroy(struct je_extent_hooks *h, void *addr, size_t size, bool committed,
                         unsigned arena)
{
    (void)h, (void)arena;
    sys_unmap(addr, size);
    if (committed)
        account_add(-(int64_t)size);
}

static bool hook_commit(struct je_extent_hooks *h, void *addr, size_t size, size_t offset,
                        size_t length, unsigned arena)
{
    (void)h, (void)addr, (void)size, (void)offset, (void)arena;
    pages_take(length);
    return false;
}

static bool hook_decommit(struct je_extent_hooks *h, void *addr, size_t size, size_t offset,
                          size_t length, unsigned arena)
{
    (void)h, (void)size, (void)arena;
    return pages_give_back((char *)addr + offset, length) != 0;
}

/* Forced purging leaves an extent committed: used only where decommit failed. */
static bool hook_purge(struct je_extent_hooks *h, void *addr, size_t size, size_t offset,
                       size_t length, unsigned arena)
{
    (void)h, (void)size, (void)arena;
    return pages_renew((char *)addr + offset, length) != 0;
}

static bool hook_split(struct je_extent_hooks *h, void *addr, size_t size, size_t size_a,
                       size_t size_b, bool committed, unsigned arena)
{
    (void)h, (void)addr, (void)size, (void)size_a, (void)size_b, (void)committed, (void)arena;
    return false;
}

static bool hook_merge(struct je_extent_hooks *h, void *addr_a, size_t size_a, void *addr_b,
                       size_t size_b, bool committed, unsigned arena)
{
    (void)h, (void)addr_a, (void)size_a, (void)addr_b, (void)size_b, (void)committed, (void)arena;
    return false;
}

struct je_extent_hooks hooks = {
    .alloc = hook_alloc,
    .dalloc = hook_dalloc,
    .destroy = hook_destroy,
    .commit = hook_commit,
    .decommit = hook_decommit,
    .purge_lazy = NULL, /* no half-purged pages: RSS would lag behind the count */
    .purge_forced = hook_purge,
    .split = hook_split,
    .merge = hook_merge,
};

/* Hooks count if these two are ours; whether other hooks call ours inside cannot be known. */
bool hooks_count(const struct je_extent_hooks *h)
{
    return h->commit == hook_commit && h->decommit == hook_decommit;
}
