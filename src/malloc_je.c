/*
 * jemalloc's own API under its own names. A program linked to libjemalloc calls these: they must be
 * ours as well, or it would free our blocks in another jemalloc.
 */
#include "je.h"

#include "hooks.h"
#include "runtime.h"

#include <string.h>

/* <jemalloc/jemalloc.h> need not be there when this is built. */
PLIM_EXPORT void *mallocx(size_t size, int flags);
PLIM_EXPORT void *rallocx(void *ptr, size_t size, int flags);
PLIM_EXPORT size_t xallocx(void *ptr, size_t size, size_t extra, int flags);
PLIM_EXPORT size_t sallocx(const void *ptr, int flags);
PLIM_EXPORT void dallocx(void *ptr, int flags);
PLIM_EXPORT void sdallocx(void *ptr, size_t size, int flags);
PLIM_EXPORT size_t nallocx(size_t size, int flags);
PLIM_EXPORT int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
PLIM_EXPORT int mallctlnametomib(const char *name, size_t *mib, size_t *miblen);
PLIM_EXPORT int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
                             void *newp, size_t newlen);
PLIM_EXPORT void malloc_stats_print(void (*write)(void *, const char *), void *arg,
                                    const char *opts);

PLIM_EXPORT void *mallocx(size_t size, int flags)
{
    return gate_stops(size) && !runtime_admit(size) ? NULL : je_mallocx(size, flags);
}

PLIM_EXPORT void *rallocx(void *ptr, size_t size, int flags)
{
    return gate_stops(size) && size > je_sallocx(ptr, 0) && !runtime_admit(size)
               ? NULL
               : je_rallocx(ptr, size, flags);
}

PLIM_EXPORT size_t xallocx(void *ptr, size_t size, size_t extra, int flags)
{
    return gate_stops(size) && size > je_sallocx(ptr, 0) && !runtime_admit(size)
               ? je_sallocx(ptr, flags)
               : je_xallocx(ptr, size, extra, flags);
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

/* On the shared libjemalloc an arena that the program makes has hooks only if it is made with them.
 */
PLIM_EXPORT int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
    struct je_extent_hooks *ours = &hooks;
    bool ready = runtime_ready();
    if (!JE_ARENAS_HAVE_HOOKS && ready && newp == NULL && strcmp(name, "arenas.create") == 0)
        return je_mallctl(name, oldp, oldlenp, &ours, sizeof(ours));
    return je_mallctl(name, oldp, oldlenp, newp, newlen);
}

PLIM_EXPORT int mallctlnametomib(const char *name, size_t *mib, size_t *miblen)
{
    (void)runtime_ready();
    return je_mallctlnametomib(name, mib, miblen);
}

PLIM_EXPORT int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
                             void *newp, size_t newlen)
{
    (void)runtime_ready();
    return je_mallctlbymib(mib, miblen, oldp, oldlenp, newp, newlen);
}

PLIM_EXPORT void malloc_stats_print(void (*write)(void *, const char *), void *arg,
                                    const char *opts)
{
    (void)runtime_ready();
    je_malloc_stats_print(write, arg, opts);
}
