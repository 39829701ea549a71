/*
 * What only a jemalloc inside this library can be made to do: run on another clock, take a setting
 * that its configuration does not offer, get its pages from us, and tell which arenas it has.
 *
 * The build (prefix) directs some calls of its objects here. Types it keeps to itself are void;
 * everything is as in jemalloc 5.3.0.
 */
#include "instead.h"

#include "../account.h"
#include "../hooks.h"
#include "../inside.h"
#include "../je.h"
#include "../pages.h"
#include "../sys.h"

#include <string.h>
#include <time.h>

/*
 * The clock by which jemalloc decides which free pages are old. The coarse one (4 ms steps) is
 * replaced by the fine one, and a thread may run it ahead for the length of one call.
 */
static _Thread_local uint64_t ahead_ns __attribute__((tls_model("initial-exec")));

bool inside_clock_ahead(uint64_t ns)
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

void inside_no_cache_oblivious(void)
{
    je_opt_cache_oblivious = false;
}

/* What malloc_stats_print() calls behind a buffer. */
void je_stats_print(void (*write)(void *, const char *), void *arg, const char *opts);

void inside_stats_print(void (*write)(void *, const char *), void *arg, const char *opts)
{
    je_stats_print(write, arg, opts);
}

/* jemalloc's malloc_init_state: 3 before its start, 0 after it. */
extern int je_malloc_init_state;

bool inside_is_starting(void)
{
    int state = __atomic_load_n(&je_malloc_init_state, __ATOMIC_RELAXED);
    return state == 1 || state == 2;
}

/*
 * What arenas with the default extent hooks ask of the kernel (extent.c), see pages.h; hooks of the
 * program's own, built on the default ones or not, stay as they are. true is failure.
 */
void *je_ehooks_default_alloc_impl(void *tsdn, void *addr, size_t size, size_t alignment,
                                   bool *zero, bool *commit, unsigned arena);
bool je_ehooks_default_dalloc_impl(void *addr, size_t size);
bool je_ehooks_default_commit_impl(void *addr, size_t offset, size_t size);
bool je_ehooks_default_decommit_impl(void *addr, size_t offset, size_t size);
bool je_ehooks_default_purge_lazy_impl(void *addr, size_t offset, size_t size);
bool je_ehooks_default_purge_forced_impl(void *addr, size_t offset, size_t size);
void je_ehooks_default_zero_impl(void *addr, size_t size);
void je_pages_set_thp_state(void *addr, size_t size);

void *reserve(void *tsdn, void *addr, size_t size, size_t alignment, bool *zero, bool *commit,
              unsigned arena) INSTEAD(ehooks_default_alloc_impl);
bool release(void *addr, size_t size) INSTEAD(ehooks_default_dalloc_impl);
bool commit(void *addr, size_t offset, size_t size) INSTEAD(ehooks_default_commit_impl);
bool decommit(void *addr, size_t offset, size_t size) INSTEAD(ehooks_default_decommit_impl);
bool purge_lazy(void *addr, size_t offset, size_t size) INSTEAD(ehooks_default_purge_lazy_impl);
bool purge_forced(void *addr, size_t offset, size_t size) INSTEAD(ehooks_default_purge_forced_impl);
void zero(void *addr, size_t size) INSTEAD(ehooks_default_zero_impl);

/* false: works as plain jemalloc. Written once, before its first arena. */
static bool counted;

void inside_count_pages(void)
{
    counted = true;
}

void *reserve(void *tsdn, void *addr, size_t size, size_t alignment, bool *zero_, bool *commit_,
              unsigned arena)
{
    if (!counted)
        return je_ehooks_default_alloc_impl(tsdn, addr, size, alignment, zero_, commit_, arena);
    void *p = pages_reserve(addr, size, alignment, commit_);
    if (p != NULL) {
        *zero_ = true;
        je_pages_set_thp_state(p, size); /* MALLOC_CONF=thp:... */
    }
    return p;
}

/* Refused: the address space is kept, its pages are decommitted. */
bool release(void *addr, size_t size)
{
    return counted || je_ehooks_default_dalloc_impl(addr, size);
}

bool commit(void *addr, size_t offset, size_t size)
{
    if (!counted)
        return je_ehooks_default_commit_impl(addr, offset, size);
    pages_take(size);
    return false;
}

bool decommit(void *addr, size_t offset, size_t size)
{
    return counted ? pages_give_back((char *)addr + offset, size) != 0
                   : je_ehooks_default_decommit_impl(addr, offset, size);
}

/* No half-purged pages: what the kernel counts would lag behind. */
bool purge_lazy(void *addr, size_t offset, size_t size)
{
    return counted || je_ehooks_default_purge_lazy_impl(addr, offset, size);
}

/* jemalloc asks for this where decommit failed. */
bool purge_forced(void *addr, size_t offset, size_t size)
{
    return counted ? pages_renew((char *)addr + offset, size) != 0
                   : je_ehooks_default_purge_forced_impl(addr, offset, size);
}

/* Reading a page that was never written to gives the kernel's one page of zeroes, which costs no
 * memory: so pages are written to only where they are not zero. */
static void clear(char *p, size_t size)
{
    static const size_t step = 4096;
    for (const char *end = p + size; p < end; p += step)
        if (!is_zero(p, step))
            memset(p, 0, step);
}

/* For calloc. Writing zeroes is faster than taking fresh pages if the block is then used. */
void zero(void *addr, size_t size)
{
    bool write_zeroes = size < MiB && !gate_stops(0);
    if (!counted)
        je_ehooks_default_zero_impl(addr, size);
    else if (write_zeroes || pages_renew(addr, size) != 0)
        clear(addr, size);
}

/* jemalloc's huge page allocator would take pages past all this. Told that there is no support for
 * it, jemalloc itself says that it does without. */
bool je_hpa_supported(void);
bool hpa_supported(void) INSTEAD(hpa_supported);

bool hpa_supported(void)
{
    return !counted && je_hpa_supported();
}

/* Hooks that the program gives an arena, built on the default ones, commit a reserve that was
 * decommitted here, and so is accessible all the same, or one of jemalloc's own, which is not
 * accessible where the kernel promises no more memory than there is (vm.overcommit_memory=2). */
bool je_pages_commit(void *addr, size_t size);
bool pages_commit(void *addr, size_t size) INSTEAD(pages_commit);

bool pages_commit(void *addr, size_t size)
{
    return counted ? sys_make_accessible(addr, size) != 0 : je_pages_commit(addr, size);
}

/*
 * Which arenas there are. jemalloc's arena_config_t begins with the hooks of an arena; those with
 * hooks of the program's own are not counted.
 */
extern const char je_ehooks_default_extent_hooks[];
bool hooks_count(const struct je_extent_hooks *h)
{
    return counted && (const char *)h == je_ehooks_default_extent_hooks;
}

/* jemalloc's arenas; NULL: none of that index. */
extern char *_Atomic je_arenas[];

char *inside_arena(unsigned index)
{
    return atomic_load_explicit(&je_arenas[index], memory_order_acquire);
}

void *je_arena_new(void *tsdn, unsigned index, const void *const *config);
void je_arena_destroy(void *tsd, void *arena);

void *arena_made(void *tsdn, unsigned index, const void *const *config) INSTEAD(arena_new);
void arena_gone(void *tsd, void *arena) INSTEAD(arena_destroy);

void *arena_made(void *tsdn, unsigned index, const void *const *config)
{
    void *arena = je_arena_new(tsdn, index, config);
    if (arena != NULL && hooks_count(*config))
        account_arena_made(index);
    return arena;
}

void arena_gone(void *tsd, void *arena)
{
    unsigned index = 0, count = account_arenas();
    while (index < count && inside_arena(index) != arena)
        index++;
    if (index < count)
        account_arena_gone(index);
    slabs_leave_alone();
    je_arena_destroy(tsd, arena);
    slabs_go_on();
}
