/* What look.c and look_purge.c share, see look.h. */
#ifndef PLIM_LOOK_INTERNAL_H
#define PLIM_LOOK_INTERNAL_H

#include "look.h"

/* Gives back so much of the free pages, or all; returns the bytes that went. Call with the lock
 * held. */
uint64_t look_give_back(uint64_t bytes);
/* Gives back pages in the middle of slabs, as a decision of its own says, and takes them off
 * in->usage, by which the other decisions are made. Call with the lock held. */
void look_drop_slabs(struct governor_input *in);

#endif
