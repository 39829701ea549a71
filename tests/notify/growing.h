/* A cache that grows by 1 MiB at each cache_grow() and drops the older half when asked. It knows
 * nothing of limits. */
#ifndef PLIM_TEST_GROWING_H
#define PLIM_TEST_GROWING_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 20, BLOCKS_ALL = 400 };

static struct {
    char *blocks[BLOCKS_ALL];
    int first, end; /* indices of the blocks that are held */
    int events;
} cache;

/* Returns 0 once it has grown as often as it is meant to. */
static inline int cache_grow(void)
{
    if (cache.end == BLOCKS_ALL)
        return 0;
    char *block = malloc(BLOCK);
    if (!block)
        abort();
    memset(block, cache.end, BLOCK);
    cache.blocks[cache.end++] = block;
    return 1;
}

static inline void cache_drop_half(void)
{
    cache.events++;
    for (int drop = (cache.end - cache.first + 1) / 2; drop > 0; drop--)
        free(cache.blocks[cache.first++]);
}

static inline void cache_report(void)
{
    printf("grown=%d held=%d events=%d\n", cache.end, cache.end - cache.first, cache.events);
}

#endif
