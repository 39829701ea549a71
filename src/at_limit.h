/*
 * What an allocating thread meets where there is no room left: it waits, is refused, or ends the
 * program.
 */
#ifndef PLIM_AT_LIMIT_H
#define PLIM_AT_LIMIT_H

#include "governor.h"

#include <stdatomic.h>

struct at_limit {
    _Atomic uint32_t progress; /* counts what may have made room: waiting threads sleep on it */
    _Atomic unsigned held;     /* threads that wait for room */
    /* Until then no thread waits for others: one did in vain. Relaxed: it stands alone. */
    _Atomic uint64_t alone_until_ns;
};

extern struct at_limit at_limit PLIM_HIDDEN;

static inline uint32_t at_limit_progress_seen(void)
{
    return atomic_load_explicit(&at_limit.progress, memory_order_relaxed);
}

/* Whether threads are not to wait for each other. */
bool at_limit_is_alone(uint64_t now_ns);
/* Waits or ends the program as PLIMSOLL_ON_LIMIT says, after a look that found no room for a
 * request of that size, or nearly none. `progress`: at_limit_progress_seen() before that look.
 * false: refuse it. */
bool at_limit_admit(size_t size, uint32_t progress, struct governor_decision *d);
/* A pass of reclaimers has ended, or a look may have found room: waiting threads look again. */
void at_limit_progress(void);

#endif
