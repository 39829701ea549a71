/*
 * The extent hooks: where jemalloc's pages come from and go to.
 *
 * They make `committed` exact. Address space is reserved uncommitted and never given back; using it
 * calls commit, which counts; purging it calls decommit, which hands the pages to the kernel.
 */
#ifndef PLIM_HOOKS_H
#define PLIM_HOOKS_H

#include "je.h"

extern struct je_extent_hooks hooks;

/* Keep new address space off transparent huge pages (PLIMSOLL_THP). Call before arenas get hooks.
 */
void hooks_avoid_huge_pages(bool avoid);

#endif
