/*
 * On the shared libjemalloc: one compare, then a call into jemalloc.
 *
 * What is here runs on every allocation. Freeing never looks, as it takes no memory.
 */
#include "admit.h"
#include "je.h"
#include "runtime.h"

#include <errno.h>
#include <stdlib.h>

/* The slow path refuses. */
static PLIM_COLD void *refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

/* The slow path has had its request served. */
static void *served(void *p)
{
    requests_served();
    return p;
}

static PLIM_COLD void *malloc_slow(size_t size)
{
    return admit_request(size) ? served(je_malloc(size)) : refuse();
}

PLIM_EXPORT void *malloc(size_t size)
{
    return gate_stops(size) ? malloc_slow(size) : je_malloc(size);
}

static PLIM_COLD void *calloc_slow(size_t count, size_t size, size_t total)
{
    return admit_request(total) ? served(je_calloc(count, size)) : refuse();
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
    return shrinks || admit_request(size) ? served(je_realloc(ptr, size)) : refuse();
}

/* jemalloc does not set errno when it cannot make a block larger. */
PLIM_EXPORT void *realloc(void *ptr, size_t size)
{
    void *p = gate_stops(size) ? realloc_slow(ptr, size) : je_realloc(ptr, size);
    if (unlikely(p == NULL) && size != 0)
        errno = ENOMEM;
    return p;
}

PLIM_EXPORT void free(void *ptr)
{
    je_free(ptr);
}

PLIM_EXPORT int posix_memalign(void **ret, size_t alignment, size_t size)
{
    if (gate_stops(size) && !admit_request(size))
        return ENOMEM;
    int rc = je_posix_memalign(ret, alignment, size);
    requests_served();
    return rc;
}

PLIM_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (gate_stops(size) && !admit_request(size))
        return refuse();
    return served(je_aligned_alloc(alignment, size));
}

PLIM_EXPORT size_t malloc_usable_size(void *ptr)
{
    return je_malloc_usable_size(ptr);
}

/* <jemalloc/jemalloc.h> need not be there when this is built. */
PLIM_EXPORT void *mallocx(size_t size, int flags);
PLIM_EXPORT void *rallocx(void *ptr, size_t size, int flags);
PLIM_EXPORT size_t xallocx(void *ptr, size_t size, size_t extra, int flags);
PLIM_EXPORT size_t sallocx(const void *ptr, int flags);
PLIM_EXPORT void dallocx(void *ptr, int flags);
PLIM_EXPORT void sdallocx(void *ptr, size_t size, int flags);
PLIM_EXPORT size_t nallocx(size_t size, int flags);

PLIM_EXPORT void *mallocx(size_t size, int flags)
{
    return gate_stops(size) && !admit_request(size) ? NULL : served(je_mallocx(size, flags));
}

PLIM_EXPORT void *rallocx(void *ptr, size_t size, int flags)
{
    return gate_stops(size) && size > je_sallocx(ptr, 0) && !admit_request(size)
               ? NULL
               : served(je_rallocx(ptr, size, flags));
}

PLIM_EXPORT size_t xallocx(void *ptr, size_t size, size_t extra, int flags)
{
    if (gate_stops(size) && size > je_sallocx(ptr, 0) && !admit_request(size))
        return je_sallocx(ptr, flags);
    size_t now = je_xallocx(ptr, size, extra, flags);
    requests_served();
    return now;
}

PLIM_EXPORT size_t sallocx(const void *ptr, int flags)
{
    return je_sallocx(ptr, flags);
}

PLIM_EXPORT void dallocx(void *ptr, int flags)
{
    je_dallocx(ptr, flags);
}

PLIM_EXPORT void sdallocx(void *ptr, size_t size, int flags)
{
    je_sdallocx(ptr, size, flags);
}

PLIM_EXPORT size_t nallocx(size_t size, int flags)
{
    (void)runtime_ready();
    return je_nallocx(size, flags);
}
