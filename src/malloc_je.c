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

struct entry {
    bool was_inside, locked;
};

/* An arena ends: looks and purges, which deal with all of them, must not be under way. */
static struct entry enter(bool ends_arena)
{
    struct entry e = {.was_inside = thread_state.inside};
    if (runtime_ready() && ends_arena && !e.was_inside)
        e.locked = lock_take_within(&runtime.look_lock, look_wait_ns);
    thread_state.inside = true;
    return e;
}

static void leave(struct entry e)
{
    thread_state.inside = e.was_inside;
    if (e.locked)
        lock_release(&runtime.look_lock);
}

static bool names_end(const char *name)
{
    const char *last = strrchr(name, '.');
    return strncmp(name, "arena.", 6) == 0 &&
           (strcmp(last, ".destroy") == 0 || strcmp(last, ".reset") == 0);
}

static bool mib_is(const size_t *mib, const char *name)
{
    size_t found[3], len = ARRAY_LEN(found);
    return je_mallctlnametomib(name, found, &len) == 0 && found[0] == mib[0] && found[2] == mib[2];
}

/* On the shared libjemalloc an arena that the program makes has hooks only if it is made with them.
 */
PLIM_EXPORT int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
    struct entry e = enter(names_end(name));
#ifdef PLIM_JEMALLOC_SHARED
    struct je_extent_hooks *ours = &hooks;
    if (newp == NULL && strcmp(name, "arenas.create") == 0 && runtime_ready()) {
        newp = &ours;
        newlen = sizeof(ours);
    }
#endif
    int rc = je_mallctl(name, oldp, oldlenp, newp, newlen);
    leave(e);
    return rc;
}

PLIM_EXPORT int mallctlnametomib(const char *name, size_t *mib, size_t *miblen)
{
    struct entry e = enter(false);
    int rc = je_mallctlnametomib(name, mib, miblen);
    leave(e);
    return rc;
}

PLIM_EXPORT int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
                             void *newp, size_t newlen)
{
    bool action = miblen == 3 && oldp == NULL && newp == NULL;
    struct entry e =
        enter(action && (mib_is(mib, "arena.0.destroy") || mib_is(mib, "arena.0.reset")));
    int rc = je_mallctlbymib(mib, miblen, oldp, oldlenp, newp, newlen);
    leave(e);
    return rc;
}

/* The caller's function runs in there; what it allocates is not looked at. */
PLIM_EXPORT void malloc_stats_print(void (*write)(void *, const char *), void *arg,
                                    const char *opts)
{
    struct entry e = enter(false);
    je_malloc_stats_print(write, arg, opts);
    leave(e);
}
