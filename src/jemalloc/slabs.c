/*
 * Pages of a slab on which no block is in use go back to the kernel while the slab stays.
 *
 * To jemalloc all of a slab is in use as long as one of its blocks is, and it has no call that
 * tells which are. So what it keeps of them is read here, as it is in 5.3.0 for pages of 4 KiB and
 * addresses of 48 bits: the map from addresses to extents, their descriptions, and the bins, whose
 * locks keep blocks from being handed out or taken back meanwhile. The build (prefix) gives the map
 * the name that is used here only where the sizes of jemalloc's tables are those of that layout.
 */
#include "instead.h"
#include "slabs.h"

#include "../account.h"
#include "../inside.h"
#include "../je.h"
#include "../pages.h"
#include "../sys.h"

enum {
    BINS = 36,             /* sizes that slabs hold blocks of */
    MAP_SHIFT = 12,        /* a page */
    LEAF_SHIFT = 30,       /* a leaf of the map has entries for so much */
    MAP_TABLE = 120,       /* where its first table begins, */
    MAP_ENTRIES = 1 << 18, /* as long as each leaf */
    EDATA_ALIGNMENT = 128,
    EMPTY_AT_ONCE = 4096, /* pages of no extent passed over in a step */
    STEPS_BETWEEN = 64,   /* readings of the clock */
};
static const uintptr_t page = (uintptr_t)1 << MAP_SHIFT;
/* A call stops after this time, so that others get the look lock. */
static const uint64_t at_once_ns = NS_PER_MS;

static struct sys_pagemap pagemap; /* during one call of slabs_drop() */

/* bin_info_t */
struct bin_info {
    size_t block_size, slab_size;
    uint32_t blocks, shards;
    size_t bits, words;
};

extern const struct bin_info je_bin_infos[];
extern const uint32_t je_arena_bin_offsets[];

/* These lock a bin and unlock it. */
void je_bin_prefork(void *tsdn, void *bin);
void je_bin_postfork_parent(void *tsdn, void *bin);

static const uint64_t *map_leaf(uintptr_t at)
{
    const uint64_t *const *table = (const uint64_t *const *)(plim_je_map_48 + MAP_TABLE);
    return __atomic_load_n(&table[at >> LEAF_SHIFT & (MAP_ENTRIES - 1)], __ATOMIC_ACQUIRE);
}

static uint64_t leaf_entry(const uint64_t *leaf, uintptr_t at)
{
    return __atomic_load_n(&leaf[at >> MAP_SHIFT & (MAP_ENTRIES - 1)], __ATOMIC_ACQUIRE);
}

/* An entry of the map: an extent, the index of its size, and whether it is a slab. */
static uint64_t map_entry(uintptr_t at)
{
    const uint64_t *leaf = map_leaf(at);
    return leaf == NULL ? 0 : leaf_entry(leaf, at);
}

/* NULL: the entry has no extent. */
static const struct extent *entry_extent(uint64_t entry)
{
    uint64_t address = (uint64_t)((int64_t)(entry << 16) >> 16);
    return (const struct extent *)(uintptr_t)(address & ~(uint64_t)(EDATA_ALIGNMENT - 1));
}

const struct extent *slabs_extent_at(uintptr_t at)
{
    return entry_extent(map_entry(at));
}

static unsigned entry_size_index(uint64_t entry)
{
    return (unsigned)(entry >> 48);
}

static bool entry_is_slab(uint64_t entry)
{
    return (entry & 1) != 0 && entry_size_index(entry) < BINS;
}

/* NULL: the arena is gone, or has hooks of the program's own. */
static void *bin_of(uint64_t bits, unsigned size_index)
{
    unsigned index = extent_arena(bits), shard = extent_shard(bits);
    size_t bin_size = (je_arena_bin_offsets[1] - je_arena_bin_offsets[0]) / je_bin_infos[0].shards;
    if (!arena_is_counted(index) || shard >= je_bin_infos[size_index].shards)
        return NULL;
    char *arena = inside_arena(index);
    return arena == NULL ? NULL : arena + je_arena_bin_offsets[size_index] + shard * bin_size;
}

/* At least a page's worth of blocks is free, and some are in use: a slab with none in use is on its
 * way into its bin or out of it, and the rest of its description may not be written yet. */
static bool has_free_pages(uint64_t bits, const struct bin_info *info)
{
    unsigned free = extent_free_blocks(bits);
    return free * info->block_size >= page && free < info->blocks && info->slab_size > page;
}

/* The part of a slab behind its last block counts as free. */
static bool page_is_free(const struct extent *slab, const struct bin_info *info, size_t at)
{
    size_t first = at * page / info->block_size;
    size_t last = ((at + 1) * page - 1) / info->block_size;
    for (size_t i = first; i <= last && i < info->blocks; i++)
        if ((slab->free_blocks[i / 64] >> i % 64 & 1) == 0)
            return false;
    return true;
}

/* Call with the bin's lock held. */
static void drop_free_pages(const struct extent *slab, const struct bin_info *info,
                            struct slabs_given *given)
{
    size_t pages = info->slab_size / page, begin = 0, in_memory = 0;
    for (size_t at = 0; at <= pages; at++) {
        bool is_free = at < pages && page_is_free(slab, info, at);
        enum sys_page_is is = sys_pagemap_at(&pagemap, slab->addr + at * page);
        if (is_free && is != SYS_PAGE_ABSENT) {
            in_memory += is == SYS_PAGE_IN_MEMORY;
            continue;
        }
        given->absent += is_free ? page : 0;
        if (at > begin &&
            sys_drop_pages((char *)slab->addr + begin * page, (at - begin) * page) == 0)
            given->bytes += in_memory * page;
        begin = at + 1;
        in_memory = 0;
    }
}

/* Everything is read again under the lock, when it can no longer change; the map last, as it
 * changes first. */
static void work_on(uintptr_t at, uint64_t entry, struct slabs_given *given)
{
    const struct extent *slab = entry_extent(entry);
    const struct bin_info *info = &je_bin_infos[entry_size_index(entry)];
    uint64_t bits = __atomic_load_n(&slab->bits, __ATOMIC_RELAXED);
    void *bin = bin_of(bits, entry_size_index(entry));
    if (bin == NULL || !has_free_pages(bits, info))
        return;
    sys_pagemap_read(&pagemap, at, info->slab_size); /* may wait */
    je_bin_prefork(NULL, bin);
    bits = __atomic_load_n(&slab->bits, __ATOMIC_ACQUIRE);
    uintptr_t addr = __atomic_load_n(&slab->addr, __ATOMIC_ACQUIRE);
    if (addr == at && bin_of(bits, entry_size_index(entry)) == bin && has_free_pages(bits, info) &&
        map_entry(at) == entry)
        drop_free_pages(slab, info, given);
    je_bin_postfork_parent(NULL, bin);
}

/* The next address before `end` where the map may know an extent: within this leaf, and not far. */
static uintptr_t next_known(uintptr_t at, uintptr_t end)
{
    const uintptr_t leaf_end = ((at >> LEAF_SHIFT) + 1) << LEAF_SHIFT;
    const uint64_t *leaf = map_leaf(at);
    if (leaf == NULL)
        return leaf_end;
    end = u64_min(u64_min(end, leaf_end), at + EMPTY_AT_ONCE * page);
    while (at < end && entry_extent(leaf_entry(leaf, at)) == NULL)
        at += page;
    return at;
}

/* Deals with the extent that begins at that address, if any; returns where the next may begin. An
 * extent may have become another while it was read: then some are passed over. */
static uintptr_t step(uintptr_t at, uintptr_t end, struct slabs_given *given)
{
    uint64_t entry = map_entry(at);
    const struct extent *extent = entry_extent(entry);
    if (extent == NULL)
        return next_known(at, end);
    if ((__atomic_load_n(&extent->addr, __ATOMIC_RELAXED) & ~(page - 1)) != at)
        return at + page; /* somewhere inside */
    if (!entry_is_slab(entry))
        return at + u64_max(page, __atomic_load_n(&extent->size, __ATOMIC_RELAXED) & ~(page - 1));
    work_on(at, entry, given);
    return at + je_bin_infos[entry_size_index(entry)].slab_size;
}

/* Goes over extents from `at` on until enough is given or the time is up; returns where it
 * ended. */
static uintptr_t go_over(uintptr_t at, uintptr_t end, uint64_t bytes, struct slabs_given *given)
{
    uint64_t until = sys_now_ns() + at_once_ns;
    for (unsigned steps = 1; at < end && given->bytes < bytes; steps++) {
        if (!slabs_begin_look()) {
            given->left_alone = true;
            break;
        }
        at = step(at, end, given);
        slabs_end_look();
        if (steps % STEPS_BETWEEN == 0 && sys_now_ns() >= until)
            break;
    }
    return at;
}

struct slabs_given slabs_drop(uint64_t bytes)
{
    static uintptr_t next; /* where the last call ended */
    struct slabs_given given = {.all = true};
    uintptr_t begin, end;
    if (plim_je_map_48 == NULL)
        return given;
    pages_span(&begin, &end);
    given.is_exact = sys_pagemap_open(&pagemap) == 0;
    next = go_over(next < begin ? begin : next, end, bytes, &given);
    sys_pagemap_close(&pagemap);
    given.all = next >= end;
    if (given.all)
        next = 0;
    return given;
}
