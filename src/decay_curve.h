/*
 * jemalloc's decay curve, inverted: how far free pages must age for a given share of them to go.
 * Pure.
 */
#ifndef PLIM_DECAY_CURVE_H
#define PLIM_DECAY_CURVE_H

#include "base.h"

/* jemalloc's SMOOTHSTEP_NSTEPS: a decay time is 200 steps long. */
enum { DECAY_STEPS = 200 };

/* The fewest steps after which at least part/whole of pages that were all new have been purged, in
 * [0, DECAY_STEPS]. whole must not be 0. */
unsigned decay_steps_for(uint64_t part, uint64_t whole);

#endif
