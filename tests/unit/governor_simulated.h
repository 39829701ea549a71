/* What the simulations of programs under the governor share. */
#ifndef PLIM_TEST_GOVERNOR_SIMULATED_H
#define PLIM_TEST_GOVERNOR_SIMULATED_H

#include "governor_case.h"

/* The allocator's gate: smaller requests pass unless a look is due. */
#define GATE MiB

static inline uint64_t rng_of(uint64_t seed)
{
    return seed * 0x9e3779b97f4a7c15u + 1;
}

/* A number from 0 to n - 1; 0 where n is 0. */
static inline uint64_t random_below(uint64_t *rng, uint64_t n)
{
    *rng ^= *rng << 13; /* xorshift64 */
    *rng ^= *rng >> 7;
    *rng ^= *rng << 17;
    return n == 0 ? 0 : *rng % n;
}

/* Whether a request makes its thread look; `until`: bytes that may be committed before the next
 * look. */
static inline bool must_look(uint64_t size, bool gate_shut, uint64_t until)
{
    return (size >= GATE || gate_shut || until == 0) && size >= until;
}

#endif
