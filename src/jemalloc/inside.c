/*
 * What only a jemalloc inside this library can be made to do: its clock, a setting that it does not
 * take from its configuration, where its pages come from, which arenas it has.
 *
 * The build (prefix) directs some calls of its objects here. Types it keeps to itself are void;
 * everything is as in jemalloc 5.3.0.
 */
#include "../account.h"
#include "../je.h"
#include "../pages.h"

#include <time.h>

/* The function that jemalloc calls for this one of its own. */
#define INSTEAD(name) __asm__("plim_je_" #name)

/*
 * The clock that it reads when it decides which free pages are old: the coarse one (4 ms steps) is
 * replaced by the fine one, and a thread may run it ahead for the length of one call.
 */
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

/* What malloc_stats_print() puts a buffer in front of. */
void je_stats_print(void (*write)(void *, const char *), void *arg, const char *opts);

void je_stats(void (*write)(void *, const char *), void *arg, const char *opts)
{
    je_stats_print(write, arg, opts);
}

/* jemalloc's malloc_init_state: 3 before, 0 after. */
extern int je_malloc_init_state;

bool je_is_starting(void)
{
    int state = __atomic_load_n(&je_malloc_init_state, __ATOMIC_RELAXED);
    return state == 1 || state == 2;
}

/*
 * What its default extent hooks ask of the kernel (ehooks.c), see pages.h. true is failure.
 */
void *je_extent_alloc_mmap(void *addr, size_t size, size_t alignment, bool *zero, bool *commit);
bool je_extent_dalloc_mmap(void *addr, size_t size);
bool je_pages_commit(void *addr, size_t size);
bool je_pages_decommit(void *addr, size_t size);
bool je_pages_purge_lazy(void *addr, size_t size);
bool je_pages_purge_forced(void *addr, size_t size);

void *reserve(void *addr, size_t size, size_t alignment, bool *zero, bool *commit)
    INSTEAD(extent_alloc_mmap);
bool release(void *addr, size_t size) INSTEAD(extent_dalloc_mmap);
bool commit(void *addr, size_t size) INSTEAD(pages_commit);
bool decommit(void *addr, size_t size) INSTEAD(pages_decommit);
bool purge_lazy(void *addr, size_t size) INSTEAD(pages_purge_lazy);
bool purge_forced(void *addr, size_t size) INSTEAD(pages_purge_forced);

/* false: plain jemalloc. Written once, before its first arena. */
static bool counted;

void je_count_pages(void)
{
    counted = true;
}

void *reserve(void *addr, size_t size, size_t alignment, bool *zero, bool *commit_)
{
    if (!counted)
        return je_extent_alloc_mmap(addr, size, alignment, zero, commit_);
    *zero = true;
    return pages_reserve(addr, size, alignment, commit_);
}

/* Refused: the address space is kept, its pages are decommitted. */
bool release(void *addr, size_t size)
{
    return counted || je_extent_dalloc_mmap(addr, size);
}

bool commit(void *addr, size_t size)
{
    if (!counted)
        return je_pages_commit(addr, size);
    pages_take(size);
    return false;
}

bool decommit(void *addr, size_t size)
{
    return counted ? pages_give_back(addr, size) != 0 : je_pages_decommit(addr, size);
}

/* No half-purged pages: what the kernel counts would lag behind. */
bool purge_lazy(void *addr, size_t size)
{
    return counted || je_pages_purge_lazy(addr, size);
}

/* Mostly to zero a large block for calloc: writing zeroes is faster where the block is used, and
 * keeps pages that a sparse one does not need. */
bool purge_forced(void *addr, size_t size)
{
    if (!counted)
        return je_pages_purge_forced(addr, size);
    bool write_zeroes = size < MiB && !gate_stops(0);
    return write_zeroes || pages_renew(addr, size) != 0;
}

/*
 * Which arenas there are. jemalloc's arena_config_t begins with the hooks of an arena; those with
 * hooks of the program's own are not counted.
 */
extern const char je_ehooks_default_extent_hooks[];
void *je_arena_new(void *tsdn, unsigned index, const void *const *config);
void je_base_delete(void *tsdn, void *base);

void *arena_made(void *tsdn, unsigned index, const void *const *config) INSTEAD(arena_new);
void base_gone(void *tsdn, void *base) INSTEAD(base_delete);

void *arena_made(void *tsdn, unsigned index, const void *const *config)
{
    void *arena = je_arena_new(tsdn, index, config);
    if (counted && arena != NULL && *config == je_ehooks_default_extent_hooks)
        account_arena_made(index);
    return arena;
}

/* An arena is destroyed, or could not be made. */
void base_gone(void *tsdn, void *base)
{
    account_arena_gone(base);
    je_base_delete(tsdn, base);
}
