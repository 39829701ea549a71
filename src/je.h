/*
 * jemalloc's public functions under the names that the build gives them (src/jemalloc/prefix, or
 * src/jemalloc/shared.c on top of libjemalloc.so.2). Its booleans are inverted: true is failure.
 */
#ifndef PLIM_JE_H
#define PLIM_JE_H

#include "base.h"

/* With jemalloc inside the library these are the exported functions themselves: the gate stands
 * behind their fast path (src/jemalloc/slow_path.c). On the shared libjemalloc it stands before
 * them (malloc_gated.c). */
#ifdef PLIM_JEMALLOC_SHARED
#define JE_EXPORTED(name)
#else
#define JE_EXPORTED(name) __asm__(#name)
#endif
void *je_malloc(size_t size) JE_EXPORTED(malloc);
void *je_calloc(size_t count, size_t size) JE_EXPORTED(calloc);
void je_free(void *ptr) JE_EXPORTED(free);
int je_posix_memalign(void **ret, size_t alignment, size_t size) JE_EXPORTED(posix_memalign);
void *je_aligned_alloc(size_t alignment, size_t size) JE_EXPORTED(aligned_alloc);
size_t je_malloc_usable_size(void *ptr) JE_EXPORTED(malloc_usable_size);
void *je_mallocx(size_t size, int flags) JE_EXPORTED(mallocx);
void *je_rallocx(void *ptr, size_t size, int flags) JE_EXPORTED(rallocx);
size_t je_xallocx(void *ptr, size_t size, size_t extra, int flags) JE_EXPORTED(xallocx);
size_t je_sallocx(const void *ptr, int flags) JE_EXPORTED(sallocx);
void je_dallocx(void *ptr, int flags) JE_EXPORTED(dallocx);
void je_sdallocx(void *ptr, size_t size, int flags) JE_EXPORTED(sdallocx);
size_t je_nallocx(size_t size, int flags) JE_EXPORTED(nallocx);
/* The same as je_sdallocx without flags, and faster. */
#ifdef PLIM_JEMALLOC_SHARED
#define je_sdallocx_noflags(ptr, size) je_sdallocx(ptr, size, 0)
#else
void je_sdallocx_noflags(void *ptr, size_t size) __asm__("je_je_sdallocx_noflags");
#endif

void *je_realloc(void *ptr, size_t size);
int je_mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
int je_mallctlnametomib(const char *name, size_t *mib, size_t *miblen);
int je_mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp, void *newp,
                    size_t newlen);
void je_malloc_stats_print(void (*write)(void *, const char *), void *arg, const char *opts);

extern const char *je_malloc_conf;

/* MALLOCX_ARENA(a) | MALLOCX_TCACHE_NONE. */
#define JE_ARENA_NO_CACHE(a) ((int)(((a) + 1) << 20) | 1 << 8)

/* MALLOCX_ALIGN for a power of two. */
#define JE_ALIGN(a) ((int)__builtin_ctzl(a))

/* With jemalloc inside the library pages are counted beneath its default extent hooks. The shared
 * libjemalloc needs hooks of ours (hooks.h) on every arena. */
#ifdef PLIM_JEMALLOC_SHARED
#define JE_NEEDS_HOOKS 1
#else
#define JE_NEEDS_HOOKS 0
#endif

/* extent_hooks_t of jemalloc 5. */
struct je_extent_hooks {
    void *(*alloc)(struct je_extent_hooks *, void *addr, size_t size, size_t alignment, bool *zero,
                   bool *commit, unsigned arena);
    bool (*dalloc)(struct je_extent_hooks *, void *addr, size_t size, bool committed,
                   unsigned arena);
    void (*destroy)(struct je_extent_hooks *, void *addr, size_t size, bool committed,
                    unsigned arena);
    bool (*commit)(struct je_extent_hooks *, void *addr, size_t size, size_t offset, size_t length,
                   unsigned arena);
    bool (*decommit)(struct je_extent_hooks *, void *addr, size_t size, size_t offset,
                     size_t length, unsigned arena);
    bool (*purge_lazy)(struct je_extent_hooks *, void *addr, size_t size, size_t offset,
                       size_t length, unsigned arena);
    bool (*purge_forced)(struct je_extent_hooks *, void *addr, size_t size, size_t offset,
                         size_t length, unsigned arena);
    bool (*split)(struct je_extent_hooks *, void *addr, size_t size, size_t size_a, size_t size_b,
                  bool committed, unsigned arena);
    bool (*merge)(struct je_extent_hooks *, void *addr_a, size_t size_a, void *addr_b,
                  size_t size_b, bool committed, unsigned arena);
};

#endif
