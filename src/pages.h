/*
 * Where jemalloc's pages come from and go to.
 *
 * Address space is reserved uncommitted and never given back. Taking pages of it into use is
 * counted, and so is handing them back to the kernel, so `committed` is exact. Everything here runs
 * under jemalloc's locks: it counts, tells the kernel, returns.
 */
#ifndef PLIM_PAGES_H
#define PLIM_PAGES_H

#include "base.h"

/* Keep new address space off transparent huge pages (PLIMSOLL_THP). Before anything is reserved. */
void pages_avoid_huge(bool avoid);

/* New zeroed address space, at addr if that is not NULL. *commit: whether it is in use, and
 * counted, at once. NULL if there is none. */
void *pages_reserve(void *addr, size_t size, size_t alignment, const bool *commit);
void pages_take(size_t size);
/* All that was ever reserved lies between these; other mappings may as well. */
void pages_span(uintptr_t *ret_begin, uintptr_t *ret_end);
/* 0, or -errno: what the kernel does not take stays, and stays counted. */
int pages_give_back(void *addr, size_t size);
/* Hands pages to the kernel that remain in use: they read as zero from then on. 0, or -errno where
 * they are locked: the program wants them in memory. */
int pages_renew(void *addr, size_t size);

/* Bytes that the calling thread has given back since it began. */
uint64_t pages_given_back(void);
/* Bytes that the kernel did not take, of all threads. */
uint64_t pages_refused(void);

#endif
