/*
 * For the governor's tests: a governor with default options, and inputs of which a test changes
 * fields.
 */
#ifndef PLIM_TEST_GOVERNOR_CASE_H
#define PLIM_TEST_GOVERNOR_CASE_H

#include "governor.h"

/* Simulated time starts here and not at 0, like a machine's. */
#define START_NS (1000 * NS_PER_S)

static inline struct options default_options(void)
{
    struct options o;
    options_parse(NULL, &o, NULL, NULL);
    return o;
}

static inline struct limits cgroup_limits(uint64_t hard)
{
    struct options o = default_options();
    return limits_from_hard(LIMITS_CGROUP, hard, &o.wish);
}

static inline struct governor new_governor(void)
{
    struct governor g;
    struct options o = default_options();
    governor_init(&g, &o, START_NS);
    return g;
}

/* A process alone in its cgroup: all that is used is its heap. */
static inline struct governor_input input_at(uint64_t hard, uint64_t usage, uint64_t dirty)
{
    return (struct governor_input){
        .now_ns = START_NS,
        .limits = cgroup_limits(hard),
        .usage = usage,
        .committed = usage,
        .dirty = dirty,
    };
}

static inline struct governor_decision look_at(struct governor *g, const struct governor_input *in)
{
    struct governor_decision d;
    governor_look(g, in, &d);
    return d;
}

/* Lets time pass, so that the CPU time budget is full. */
static inline void let_rest(struct governor *g, struct governor_input *in)
{
    struct governor_input idle = *in;
    in->now_ns += 60 * NS_PER_S;
    idle.now_ns = in->now_ns;
    idle.usage = idle.committed = idle.dirty = idle.request = 0;
    (void)look_at(g, &idle);
}

/* Inputs after such a rest, with `usage` in use, `dirty` of it free pages. */
static inline struct governor_input rested_at(struct governor *g, uint64_t hard, uint64_t usage,
                                              uint64_t dirty)
{
    struct governor_input in = input_at(hard, 0, 0);
    let_rest(g, &in);
    in.usage = in.committed = usage;
    in.dirty = dirty;
    return in;
}

static inline uint64_t of_percent(uint64_t whole, uint64_t tenths)
{
    return u64_share(whole, tenths, 1000);
}

#endif
