/* The library's figures, for programs that are run only with the library. */
#ifndef PLIM_TEST_STATS_NOW_H
#define PLIM_TEST_STATS_NOW_H

#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "workload.h"

static inline struct plim_stats stats_now(void)
{
    struct plim_stats stats = {.size = sizeof(stats)};
    if (plim_stats(&stats) != 0)
        die("no figures");
    return stats;
}

/* True once usage is a MiB past the soft limit. */
static inline bool past_soft_limit(void)
{
    struct plim_limits limits = {.size = sizeof(limits)};
    if (plim_limits(&limits) != 0)
        die("no limits");
    return stats_now().usage >= limits.soft + 1048576;
}

#endif
