/*
 * What the malloc family has beyond jemalloc: glibc's own functions, sized free, errno.
 *
 * The rest of the family is jemalloc's own (jemalloc/slow_path.c), or stands in malloc_gated.c.
 */
#include "je.h"
#include "sys.h"

#include <errno.h>
#include <stdlib.h>

static PLIM_COLD void *refuse(int error)
{
    errno = error;
    return NULL;
}

#ifndef PLIM_JEMALLOC_SHARED
/* jemalloc refuses larger requests at once, and its realloc does not set errno. Where memory is
 * short, jemalloc/slow_path.c and pages.c set it. */
static const size_t largest = (size_t)7 << 60;

PLIM_EXPORT void *realloc(void *ptr, size_t size)
{
    return unlikely(size > largest) ? refuse(ENOMEM) : je_realloc(ptr, size);
}
#endif

PLIM_EXPORT void *reallocarray(void *ptr, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return refuse(ENOMEM);
    return realloc(ptr, total); /* the program's, where it has one: see replaceable */
}

PLIM_EXPORT void cfree(void *ptr)
{
    je_free(ptr);
}

/* The size is not used: the block itself tells its size class. */
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

/* glibc rounds a bad alignment up to the next power of two; programs rely on it. */
PLIM_EXPORT void *memalign(size_t alignment, size_t size)
{
    if (alignment > SIZE_MAX / 2 + 1)
        return refuse(EINVAL);
    if (alignment <= 1)
        alignment = 1;
    else if ((alignment & (alignment - 1)) != 0)
        alignment = (size_t)1 << (64 - __builtin_clzl(alignment - 1));
    return aligned_alloc(alignment, size);
}

PLIM_EXPORT void *valloc(size_t size)
{
    return aligned_alloc(sys_page_size(), size);
}

PLIM_EXPORT void *pvalloc(size_t size)
{
    size_t page = sys_page_size();
    if (size > SIZE_MAX - page)
        return refuse(ENOMEM);
    return aligned_alloc(page, size == 0 ? page : (size + page - 1) & ~(page - 1));
}
