/*
 * jemalloc's own API under its own names. A program linked to libjemalloc calls these: they must be
 * ours as well, or it would free our blocks in another jemalloc.
 */
#include "je.h"

#include "arenas.h"
#include "fmt.h"
#include "hooks.h"
#include "runtime.h"

#include <errno.h>
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
    return gate_stops(size) && !runtime_admit(size) ? NULL : je_rallocx(ptr, size, flags);
}

PLIM_EXPORT size_t xallocx(void *ptr, size_t size, size_t extra, int flags)
{
    return gate_stops(size) && !runtime_admit(size) ? je_sallocx(ptr, flags)
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

/* Whether name is "arena.<i>.destroy", and which arena. */
static bool destroys_arena(const char *name, uint64_t *ret_index)
{
    const char *end;
    return strncmp(name, "arena.", 6) == 0 && fmt_parse_u64(name + 6, &end, ret_index) == 0 &&
           strcmp(end, ".destroy") == 0;
}

/* An arena that the program makes gets our hooks too, or its pages would not be counted. */
static int create_arena(void *oldp, size_t *oldlenp)
{
    struct je_extent_hooks *ours = &hooks;
    unsigned index = 0;
    size_t len = sizeof(index);
    int rc = je_mallctl("arenas.create", &index, &len, &ours, sizeof(ours));
    if (rc != 0)
        return rc;
    arenas_note_created(index);
    if (oldp == NULL)
        return 0;
    if (oldlenp == NULL || *oldlenp != sizeof(index))
        return EINVAL;
    memcpy(oldp, &index, sizeof(index));
    return 0;
}

PLIM_EXPORT int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
    bool ready = runtime_ready();
    if (ready && newp == NULL && strcmp(name, "arenas.create") == 0)
        return create_arena(oldp, oldlenp);
    int rc = je_mallctl(name, oldp, oldlenp, newp, newlen);
    uint64_t index;
    if (ready && rc == 0 && destroys_arena(name, &index))
        arenas_note_destroyed((unsigned)u64_min(index, UINT32_MAX));
    return rc;
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
