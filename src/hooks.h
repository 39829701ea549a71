/*
 * The extent hooks by which the shared libjemalloc gets its pages from pages.h and gives them back,
 * and which hooks mean that pages are counted. With jemalloc inside the library its own functions
 * are directed there instead (jemalloc/inside.c): hooks cost it two atomic exchanges a call, also
 * for splitting and merging.
 */
#ifndef PLIM_HOOKS_H
#define PLIM_HOOKS_H

#include "je.h"

extern struct je_extent_hooks hooks;

/* An arena with these hooks has its pages counted. */
bool hooks_count(const struct je_extent_hooks *h);

/* Before an arena is destroyed, and after that has succeeded; needed where there are hooks. */
struct hooks_end {
    unsigned arena;
    const size_t *active;
    uint64_t metadata;
};
struct hooks_end hooks_arena_ends(unsigned arena);
void hooks_arena_ended(const struct hooks_end *end);

#endif
