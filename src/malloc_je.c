/*
 * jemalloc's controls under their own names. A program linked to libjemalloc calls these: they must
 * be ours as well, or it would ask another jemalloc.
 *
 * jemalloc allocates in some of them with its own locks held (it creates threads): no look then.
 */
#include "je.h"

#include "fmt.h"
#include "hooks.h"
#include "runtime.h"

#include <stdatomic.h>
#include <string.h>

/* <jemalloc/jemalloc.h> need not be there when this is built. */
PLIM_EXPORT int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
PLIM_EXPORT int mallctlnametomib(const char *name, size_t *mib, size_t *miblen);
PLIM_EXPORT int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
                             void *newp, size_t newlen);
PLIM_EXPORT void malloc_stats_print(void (*write)(void *, const char *), void *arg,
                                    const char *opts);

struct entry {
    bool was_inside;
    struct look_turn turn;
};

/* An arena ends, or its pages are given back: looks and purges must not be under way, and no fork
 * may come between, as its child would find the arena marked as being purged for ever. */
static struct entry enter(bool works)
{
    struct entry e = {.was_inside = thread_state.inside};
    thread_state.inside = true;
    if (works && !e.was_inside && runtime_ready())
        e.turn = look_begin(look_wait_ns);
    return e;
}

static void leave(struct entry e)
{
    if (e.turn.had)
        look_end(e.turn);
    thread_state.inside = e.was_inside;
}

/* What is done to an arena; the last two only where they are set. */
static const char *const work[] = {"destroy", "reset",          "purge",
                                   "decay",   "dirty_decay_ms", "muzzy_decay_ms"};
enum { ONLY_WHEN_SET = 4 };

static bool is_work(size_t which, bool sets)
{
    return which < ONLY_WHEN_SET || (which < ARRAY_LEN(work) && sets);
}

static bool name_works(const char *name, bool sets)
{
    const char *last = strrchr(name, '.');
    size_t i = 0;
    if (strncmp(name, "arena.", 6) != 0)
        return false;
    while (i < ARRAY_LEN(work) && strcmp(last + 1, work[i]) != 0)
        i++;
    return is_work(i, sets);
}

/* The first and last parts of "arena.<i>.<work>" as jemalloc numbers them; the last plus one, 0:
 * not known yet. Whoever finds them writes the same. */
static _Atomic size_t arena_part, work_parts[ARRAY_LEN(work)];

static void find_work_parts(void)
{
    for (size_t i = 0; i < ARRAY_LEN(work); i++) {
        char name[32];
        size_t found[3] = {0}, len = ARRAY_LEN(found);
        struct fmt f = FMT_INIT(name);
        fmt_str(&f, "arena.0.");
        fmt_str(&f, work[i]);
        if (je_mallctlnametomib(name, found, &len) != 0)
            continue;
        atomic_store_explicit(&arena_part, found[0], memory_order_relaxed);
        atomic_store_explicit(&work_parts[i], found[2] + 1, memory_order_release);
    }
}

static bool mib_works(const size_t *mib, size_t len, bool sets)
{
    size_t i = 0;
    if (len != 3)
        return false;
    if (atomic_load_explicit(&work_parts[ARRAY_LEN(work) - 1], memory_order_acquire) == 0)
        find_work_parts();
    while (i < ARRAY_LEN(work) &&
           atomic_load_explicit(&work_parts[i], memory_order_relaxed) != mib[2] + 1)
        i++;
    return mib[0] == atomic_load_explicit(&arena_part, memory_order_relaxed) && is_work(i, sets);
}

/* On the shared libjemalloc an arena that the program makes has hooks only if it is made with them.
 */
PLIM_EXPORT int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
    struct entry e = enter(name_works(name, newp != NULL));
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
    struct entry e = enter(mib_works(mib, miblen, newp != NULL));
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
