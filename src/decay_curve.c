/* The smoothstep curve of jemalloc's decay (its smoothstep.h: 6x^5 - 15x^4 + 10x^3), inverted. */
#include "decay_curve.h"

/* Share still kept after `step` steps, in millionths. */
static uint64_t kept_millionths(unsigned step)
{
    double x = (double)step / DECAY_STEPS;
    double gone = x * x * x * (x * (x * 6 - 15) + 10);
    return (uint64_t)((1 - gone) * 1e6 + 0.5);
}

unsigned decay_steps_for(uint64_t part, uint64_t whole)
{
    if (part >= whole)
        return DECAY_STEPS;
    uint64_t keep = 1000000 - u64_share(1000000, part, whole);
    unsigned lo = 0, hi = DECAY_STEPS;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (kept_millionths(mid) <= keep)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}
