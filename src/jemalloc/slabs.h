/* What slabs.c and slabs_others.c share. */
#ifndef PLIM_JEMALLOC_SLABS_H
#define PLIM_JEMALLOC_SLABS_H

#include "../base.h"

/* jemalloc's map from addresses to extents; NULL: its layout is not the one known here. */
extern char plim_je_map_48[] __attribute__((weak));

/* jemalloc's edata_t: an extent. What follows `size` is valid for slabs only. */
struct extent {
    uint64_t bits; /* see extent_arena() and the next */
    uintptr_t addr;
    size_t size; /* in its upper bits */
    const void *ps;
    uint64_t sn;
    const void *links[3];
    uint64_t free_blocks[8]; /* a bit each */
};

#define FREE_BLOCKS_SHIFT 28
#define FREE_BLOCKS_MASK  UINT64_C(0x3ff)

static inline unsigned extent_arena(uint64_t bits)
{
    return bits & 0xfff;
}

static inline unsigned extent_free_blocks(uint64_t bits)
{
    return bits >> FREE_BLOCKS_SHIFT & FREE_BLOCKS_MASK;
}

static inline unsigned extent_shard(uint64_t bits)
{
    return bits >> 38 & 0x3f;
}

/* The extent at an address by the map; NULL: none known. */
const struct extent *slabs_extent_at(uintptr_t at);
/* Around each reading of an extent; false: not now. One thread at a time. */
bool slabs_begin_look(void);
void slabs_end_look(void);

#endif
