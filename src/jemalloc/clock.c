/*
 * The clock that jemalloc reads when it decides which free pages are old.
 *
 * Two changes to the real one: the coarse clock (4 ms steps) is replaced by the fine one, and a
 * thread may run it ahead for the length of one call, see je_clock_ahead.
 */
#include "../je.h"

#include <time.h>

static _Thread_local uint64_t ahead_ns __attribute__((tls_model("initial-exec")));

bool je_clock_ahead(uint64_t ns)
{
    ahead_ns = ns;
    return true;
}

int plim_je_clock_gettime(clockid_t clock, struct timespec *ts);

int plim_je_clock_gettime(clockid_t clock, struct timespec *ts)
{
    int rc = clock_gettime(clock == CLOCK_MONOTONIC_COARSE ? CLOCK_MONOTONIC : clock, ts);
    if (unlikely(ahead_ns != 0) && rc == 0) {
        uint64_t ns = (uint64_t)ts->tv_nsec + ahead_ns;
        ts->tv_sec += (time_t)(ns / NS_PER_S);
        ts->tv_nsec = (long)(ns % NS_PER_S);
    }
    return rc;
}
