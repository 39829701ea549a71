/*
 * What only a jemalloc inside this library can be made to do.
 *
 * The clock that it reads when it decides which free pages are old: the coarse one (4 ms steps) is
 * replaced by the fine one, and a thread may run it ahead for the length of one call, see
 * je_clock_ahead. A setting that it does not take from its configuration. And what an arena is made
 * with: our hooks, so that arenas can be made when they are first needed.
 */
#include "../hooks.h"

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

/* jemalloc's own variable behind its "cache_oblivious" setting. */
extern bool je_opt_cache_oblivious;

void je_no_cache_oblivious(void)
{
    je_opt_cache_oblivious = false;
}

/* jemalloc's malloc_init_state: 3 before, 0 after. */
extern int je_malloc_init_state;

bool je_is_starting(void)
{
    int state = *(volatile int *)&je_malloc_init_state;
    return state == 1 || state == 2;
}

/* jemalloc's arena_config_t. Its own metadata, which is never given back, stays off our hooks. */
struct arena_config {
    struct je_extent_hooks *extent_hooks;
    bool metadata_use_hooks;
};
extern const struct arena_config je_arena_config_default;
const struct arena_config je_arena_config_default = {&hooks, false};
