/* What usage*.c share, see usage.h. */
#ifndef PLIM_USAGE_INTERNAL_H
#define PLIM_USAGE_INTERNAL_H

#include "usage.h"

/* Whether a known limit has changed since the last call. Called at every look, as a limit may be
 * lowered to just above what is used: one read per level. */
bool usage_limits_changed(struct usage *u);
/* The charge of a level. Where it cannot be read (no descriptor left, the cgroup is being removed)
 * the limit is there all the same: the last known charge plus the heap's change since, or the heap
 * alone, stands in. */
uint64_t usage_charge(struct usage *u, struct usage_level *level, uint64_t committed);

#endif
