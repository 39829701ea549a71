/*
 * malloc and its family: one compare, then a tail call into jemalloc.
 *
 * What is here runs on every allocation. Freeing never looks: it cannot make things worse.
 */
#include "je.h"
#include "runtime.h"

#include <errno.h>
#include <unistd.h>

/* The slow path says no. */
static PLIM_COLD void *refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

static PLIM_COLD void *malloc_slow(size_t size)
{
    return runtime_admit(size) ? je_malloc(size) : refuse();
}

PLIM_EXPORT void *malloc(size_t size)
{
    return gate_stops(size) ? malloc_slow(size) : je_malloc(size);
}

static PLIM_COLD void *calloc_slow(size_t count, size_t size, size_t total)
{
    return runtime_admit(total) ? je_calloc(count, size) : refuse();
}

PLIM_EXPORT void *calloc(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return refuse();
    return gate_stops(total) ? calloc_slow(count, size, total) : je_calloc(count, size);
}

static PLIM_COLD void *realloc_slow(void *ptr, size_t size)
{
    bool shrinks = ptr != NULL && size <= je_malloc_usable_size(ptr);
    return shrinks || runtime_admit(size) ? je_realloc(ptr, size) : refuse();
}

/* jemalloc does not set errno when it cannot make a block larger. */
PLIM_EXPORT void *realloc(void *ptr, size_t size)
{
    void *p = gate_stops(size) ? realloc_slow(ptr, size) : je_realloc(ptr, size);
    if (unlikely(p == NULL) && size != 0)
        errno = ENOMEM;
    return p;
}

PLIM_EXPORT void *reallocarray(void *ptr, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return refuse();
    return realloc(ptr, total);
}

#ifdef PLIM_JEMALLOC_SHARED
PLIM_EXPORT void free(void *ptr)
{
    je_free(ptr);
}
#endif

PLIM_EXPORT void cfree(void *ptr)
{
    je_free(ptr);
}

/* The size may be any that was asked for: what the block really is decides. */
PLIM_EXPORT void free_sized(void *ptr, size_t size)
{
    (void)size;
    je_free(ptr);
}

PLIM_EXPORT void free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
    (void)alignment, (void)size;
    je_free(ptr);
}

PLIM_EXPORT int posix_memalign(void **ret, size_t alignment, size_t size)
{
    if (gate_stops(size) && !runtime_admit(size))
        return ENOMEM;
    return je_posix_memalign(ret, alignment, size);
}

PLIM_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (gate_stops(size) && !runtime_admit(size))
        return refuse();
    return je_aligned_alloc(alignment, size);
}

/* glibc rounds a bad alignment up to the next power of two; programs rely on it. */
PLIM_EXPORT void *memalign(size_t alignment, size_t size)
{
    if (alignment > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (alignment <= 1)
        alignment = 1;
    else if ((alignment & (alignment - 1)) != 0)
        alignment = (size_t)1 << (64 - __builtin_clzl(alignment - 1));
    return aligned_alloc(alignment, size);
}

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

PLIM_EXPORT void *valloc(size_t size)
{
    return aligned_alloc(page_size(), size);
}

PLIM_EXPORT void *pvalloc(size_t size)
{
    size_t page = page_size();
    if (size > SIZE_MAX - page)
        return refuse();
    return aligned_alloc(page, size == 0 ? page : (size + page - 1) & ~(page - 1));
}

PLIM_EXPORT size_t malloc_usable_size(void *ptr)
{
    return je_malloc_usable_size(ptr);
}
