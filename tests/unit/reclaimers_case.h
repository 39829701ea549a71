/* For tests of reclaimers: one that counts its calls, and passes. */
#ifndef PLIM_TEST_RECLAIMERS_CASE_H
#define PLIM_TEST_RECLAIMERS_CASE_H

#include "reclaimers.h"

struct probe {
    unsigned calls;
    uint64_t target;
    size_t gives;
};

static inline size_t count_call(const struct plim_pressure *p, void *arg)
{
    struct probe *probe = arg;
    probe->calls++;
    probe->target = p->target;
    return probe->gives;
}

/* So each counts by what it says. */
static inline uint64_t nothing_seen(void)
{
    return 0;
}

/* A pass while `usage` is in use. */
static inline struct reclaimers_result run_at(uint64_t usage, enum plim_level level,
                                              uint64_t target)
{
    struct plim_pressure p = {.size = sizeof(p), .level = level, .usage = usage, .target = target};
    struct reclaimers_result result;
    reclaimers_run(&p, false, nothing_seen, &result);
    return result;
}

static inline struct reclaimers_result run(enum plim_level level, uint64_t target)
{
    return run_at(GiB, level, target);
}

#endif
