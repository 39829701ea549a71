/*
 * Heap profiles: jemalloc's sampling profiler, where it is on (PLIMSOLL_HEAP_PROFILE, or prof:true
 * in MALLOC_CONF), in the format that jeprof reads.
 */
#ifndef PLIM_HEAP_PROFILE_H
#define PLIM_HEAP_PROFILE_H

#include "base.h"

/* After jemalloc has booted: keeps the library's own frames out of the stacks. */
void heap_profile_begin(void);
bool heap_profile_is_on(void);

/* Writes a profile to path, over what is there. 0, -ENOTSUP where profiling is off, or -EIO. Takes
 * tens of milliseconds and more for a large profile; any thread, with no lock held. */
int heap_profile_write(const char *path);
/* The same to a new file, readable by its owner only: -EEXIST, and other errors of open(2). */
int heap_profile_write_new(const char *path);

#endif
