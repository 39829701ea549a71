/* What slabs.c and slabs_others.c share. */
#ifndef PLIM_JEMALLOC_SLABS_H
#define PLIM_JEMALLOC_SLABS_H

#include "../base.h"

/* jemalloc's map; NULL: it is laid out otherwise than here. */
extern char plim_je_map_48[] __attribute__((weak));

/* edata_t: an extent; of slabs only what follows their address is read. */
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

/* What the map tells of a place; NULL: nothing. */
const struct extent *slabs_extent_at(uintptr_t at);
/* Around each look at an extent; false: not now. One thread at a time. */
bool slabs_begin_look(void);
void slabs_end_look(void);

#endif
