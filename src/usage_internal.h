/* What usage*.c share, see usage.h. */
#ifndef PLIM_USAGE_INTERNAL_H
#define PLIM_USAGE_INTERNAL_H

#include "usage.h"

/* Whether a limit that is known has another value than when last asked. One read a level: for every
 * look, since a limit may be lowered to just above what is used. */
bool usage_limits_changed(struct usage *u);
/* The charge of a level; where it cannot be read (no descriptor left, the cgroup is being removed),
 * the last that is known, and what the heap has grown or shrunk by since: the limit is there all
 * the same. None known: the heap alone. */
uint64_t usage_charge(struct usage *u, struct usage_level *level, uint64_t committed);

#endif
