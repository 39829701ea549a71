/*
 * jemalloc's controls under their own names. A program linked to libjemalloc calls these: they must
 * be ours as well, or it would ask another jemalloc.
 *
 * jemalloc allocates in some of them with its own locks held (it creates threads): no look then.
 */
#include "je.h"

#include "hooks.h"
#include "runtime.h"

#include <string.h>

/* <jemalloc/jemalloc.h> need not be there when this is built. */
PLIM_EXPORT int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
PLIM_EXPORT int mallctlnametomib(const char *name, size_t *mib, size_t *miblen);
PLIM_EXPORT int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
                             void *newp, size_t newlen);
PLIM_EXPORT void malloc_stats_print(void (*write)(void *, const char *), void *arg,
                                    const char *opts);

/* Returns what `inside` was. */
static bool enter(void)
{
    (void)runtime_ready();
    bool before = thread_state.inside;
    thread_state.inside = true;
    return before;
}

static void leave(bool before)
{
    thread_state.inside = before;
}

/* On the shared libjemalloc an arena that the program makes has hooks only if it is made with them.
 */
PLIM_EXPORT int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
    bool before = enter();
#ifdef PLIM_JEMALLOC_SHARED
    struct je_extent_hooks *ours = &hooks;
    if (newp == NULL && strcmp(name, "arenas.create") == 0 && runtime_ready()) {
        newp = &ours;
        newlen = sizeof(ours);
    }
#endif
    int rc = je_mallctl(name, oldp, oldlenp, newp, newlen);
    leave(before);
    return rc;
}

PLIM_EXPORT int mallctlnametomib(const char *name, size_t *mib, size_t *miblen)
{
    bool before = enter();
    int rc = je_mallctlnametomib(name, mib, miblen);
    leave(before);
    return rc;
}

PLIM_EXPORT int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
                             void *newp, size_t newlen)
{
    bool before = enter();
    int rc = je_mallctlbymib(mib, miblen, oldp, oldlenp, newp, newlen);
    leave(before);
    return rc;
}

/* The caller's function runs in there; what it allocates is not looked at. */
PLIM_EXPORT void malloc_stats_print(void (*write)(void *, const char *), void *arg,
                                    const char *opts)
{
    bool before = enter();
    je_malloc_stats_print(write, arg, opts);
    leave(before);
}
