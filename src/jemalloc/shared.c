/*
 * jemalloc's functions where only the shared library is packaged: found in libjemalloc.so.2, which
 * this library depends on, and called through pointers.
 *
 * Lost against the archive: a load per call; purging by amount (its clock cannot be reached, so a
 * whole arena is purged at a time); and our settings, where the dynamic loader runs jemalloc's
 * constructor before anything was allocated.
 */
#include "../inside.h"
#include "../je.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* X(result, name, parameters, arguments) */
#define FUNCTIONS(X)                                                                               \
    X(void *, malloc, (size_t size), (size))                                                       \
    X(void *, calloc, (size_t count, size_t size), (count, size))                                  \
    X(int, posix_memalign, (void **ret, size_t align, size_t size), (ret, align, size))            \
    X(void *, aligned_alloc, (size_t align, size_t size), (align, size))                           \
    X(size_t, malloc_usable_size, (void *ptr), (ptr))                                              \
    X(void *, mallocx, (size_t size, int flags), (size, flags))                                    \
    X(void *, rallocx, (void *ptr, size_t size, int flags), (ptr, size, flags))                    \
    X(size_t, xallocx, (void *ptr, size_t size, size_t extra, int flags),                          \
      (ptr, size, extra, flags))                                                                   \
    X(size_t, sallocx, (const void *ptr, int flags), (ptr, flags))                                 \
    X(size_t, nallocx, (size_t size, int flags), (size, flags))                                    \
    X(int, mallctl, (const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen),    \
      (name, oldp, oldlenp, newp, newlen))                                                         \
    X(int, mallctlnametomib, (const char *name, size_t *mib, size_t *miblen), (name, mib, miblen)) \
    X(int, mallctlbymib,                                                                           \
      (const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp, void *newp, size_t newlen),  \
      (mib, miblen, oldp, oldlenp, newp, newlen))

static struct {
#define X(result, name, params, args) result(*name) params;
    FUNCTIONS(X)
#undef X
    void *(*realloc)(void *ptr, size_t size);
    void (*free)(void *ptr);
    void (*dallocx)(void *ptr, int flags);
    void (*sdallocx)(void *ptr, size_t size, int flags);
    void (*malloc_stats_print)(void (*write)(void *, const char *), void *arg, const char *opts);
} je;

enum resolving { RESOLVE_NOT, RESOLVING, RESOLVED };
static _Atomic int state;

/* What the dynamic loader itself allocates while it looks the functions up: never freed. */
static _Alignas(64) char early[64 * 1024];
static _Atomic size_t early_used;

static bool is_early(const void *ptr)
{
    return (uintptr_t)ptr - (uintptr_t)early < sizeof(early);
}

static void *early_alloc(size_t size)
{
    size_t at =
        atomic_fetch_add_explicit(&early_used, (size + 63) & ~(size_t)63, memory_order_relaxed);
    return at + size <= sizeof(early) ? early + at : NULL;
}

static void find(void *lib, const char *name, void *ret)
{
    void *at = dlsym(lib, name);
    if (at == NULL)
        abort(); /* not jemalloc 5: nothing can be allocated, nor a message written */
    memcpy(ret, &at, sizeof(at));
}

static void resolve(void)
{
    /* By handle: a look-up through the global scope would find our own malloc. */
    void *lib = dlopen("libjemalloc.so.2", RTLD_LAZY | RTLD_NOLOAD);
    if (lib == NULL)
        abort();
#define X(result, name, params, args) find(lib, #name, &je.name);
    FUNCTIONS(X)
#undef X
    find(lib, "realloc", &je.realloc);
    find(lib, "free", &je.free);
    find(lib, "dallocx", &je.dallocx);
    find(lib, "sdallocx", &je.sdallocx);
    find(lib, "malloc_stats_print", &je.malloc_stats_print);
}

/* The variable that libjemalloc reads: ours comes first in the search order. */
extern const char *malloc_conf;

/* false: the functions are being looked up by this very call chain. */
static bool ready(void)
{
    int not_yet = RESOLVE_NOT;
    if (likely(atomic_load_explicit(&state, memory_order_acquire) == RESOLVED))
        return true;
    if (!atomic_compare_exchange_strong_explicit(&state, &not_yet, RESOLVING, memory_order_acq_rel,
                                                 memory_order_acquire))
        return not_yet == RESOLVED;
    malloc_conf = je_malloc_conf;
    resolve();
    atomic_store_explicit(&state, RESOLVED, memory_order_release);
    return true;
}

#define X(result, name, params, args)                                                              \
    result je_##name params                                                                        \
    {                                                                                              \
        return unlikely(!ready()) ? early_##name args : je.name args;                              \
    }

/* For the few calls that the loader makes before the functions are known. */
static void *early_malloc(size_t size)
{
    return early_alloc(size);
}

static void *early_calloc(size_t count, size_t size)
{
    return early_alloc(count * size); /* static memory, used once: zero */
}

static int early_posix_memalign(void **ret, size_t align, size_t size)
{
    *ret = align <= 64 ? early_alloc(size) : NULL;
    return *ret == NULL ? 12 /* ENOMEM */ : 0;
}

static void *early_aligned_alloc(size_t align, size_t size)
{
    return align <= 64 ? early_alloc(size) : NULL;
}

#define EARLY_NONE(result, name, params)                                                           \
    static result early_##name params                                                              \
    {                                                                                              \
        return (result)0;                                                                          \
    }
#define UNUSED __attribute__((unused))
EARLY_NONE(size_t, malloc_usable_size, (UNUSED void *ptr))
EARLY_NONE(void *, mallocx, (UNUSED size_t size, UNUSED int flags))
EARLY_NONE(void *, rallocx, (UNUSED void *ptr, UNUSED size_t size, UNUSED int flags))
EARLY_NONE(size_t, xallocx,
           (UNUSED void *ptr, UNUSED size_t size, UNUSED size_t extra, UNUSED int flags))
EARLY_NONE(size_t, sallocx, (UNUSED const void *ptr, UNUSED int flags))
EARLY_NONE(size_t, nallocx, (UNUSED size_t size, UNUSED int flags))
EARLY_NONE(int, mallctl,
           (UNUSED const char *name, UNUSED void *oldp, UNUSED size_t *oldlenp, UNUSED void *newp,
            UNUSED size_t newlen))
EARLY_NONE(int, mallctlnametomib,
           (UNUSED const char *name, UNUSED size_t *mib, UNUSED size_t *miblen))
EARLY_NONE(int, mallctlbymib,
           (UNUSED const size_t *mib, UNUSED size_t miblen, UNUSED void *oldp,
            UNUSED size_t *oldlenp, UNUSED void *newp, UNUSED size_t newlen))

FUNCTIONS(X)
#undef X

/* A block of the early buffer stays where it is; its size is not known, the buffer's end is. */
void *je_realloc(void *ptr, size_t size)
{
    bool able = ready();
    if (likely(able && !is_early(ptr)))
        return je.realloc(ptr, size);
    void *p = able ? je.malloc(size) : early_alloc(size);
    if (p != NULL && ptr != NULL) {
        size_t most = (size_t)(early + sizeof(early) - (char *)ptr);
        memmove(p, ptr, size < most ? size : most);
    }
    return p;
}

void je_free(void *ptr)
{
    if (likely(!is_early(ptr)) && ptr != NULL && ready())
        je.free(ptr);
}

void je_dallocx(void *ptr, int flags)
{
    if (!is_early(ptr) && ready())
        je.dallocx(ptr, flags);
}

void je_sdallocx(void *ptr, size_t size, int flags)
{
    if (!is_early(ptr) && ready())
        je.sdallocx(ptr, size, flags);
}

void je_malloc_stats_print(void (*write)(void *, const char *), void *arg, const char *opts)
{
    if (ready())
        je.malloc_stats_print(write, arg, opts);
}

void inside_stats_print(void (*write)(void *, const char *), void *arg, const char *opts)
{
    je_malloc_stats_print(write, arg, opts);
}

char *inside_arena(unsigned index)
{
    (void)index;
    return NULL;
}

bool inside_clock_ahead(uint64_t ns)
{
    (void)ns;
    return false;
}

void inside_no_cache_oblivious(void) {}

bool inside_is_starting(void)
{
    return false;
}

void inside_count_pages(void) {}

/* The shared library's own data cannot be read. */
bool inside_coalesce(unsigned arena, bool at_once)
{
    (void)arena, (void)at_once;
    return true;
}

struct slabs_given slabs_drop(uint64_t bytes)
{
    (void)bytes;
    return (struct slabs_given){.all = true};
}

void slabs_leave_alone(void) {}

void slabs_go_on(void) {}

void slabs_fork_child(void) {}

/* The shared library's purges cannot be seen from here. */
void purges_fork_prepare(uint64_t patience_ns)
{
    (void)patience_ns;
}

void purges_fork_parent(void) {}

void purges_fork_child(void) {}

void moves_fork_child(void) {}
