/* Shared by report_judge.c and report_request.c. */
#ifndef PLIM_CMD_REPORT_INTERNAL_H
#define PLIM_CMD_REPORT_INTERNAL_H

#include "report.h"

enum { REPORT_RISE_MIN = MiB }; /* a smaller rise does not count */

/* A request this long before the end may be what ended it. */
static const uint64_t report_request_counts_ns = 5 * NS_PER_S;

/* 0 for what is not known; capped so that sums and differences do not overflow. */
static inline uint64_t report_known(uint64_t bytes)
{
    return bytes == UNLIMITED ? 0 : u64_min(bytes, (uint64_t)1 << 60);
}

/* Usage without the free pages of this heap: those could be given back. */
static inline uint64_t report_in_use(const struct record_sample *s)
{
    return u64_less(report_known(s->usage), report_known(s->dirty));
}

/* The largest request of the last seconds for which there was no room, and which may have ended the
 * process; size 0: there is none. */
void report_find_request(const struct flight *flight, struct report_request *ret);

#endif
