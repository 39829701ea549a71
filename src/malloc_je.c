/*
 * jemalloc's controls under their own names, for programs linked to libjemalloc: unless these are
 * ours as well, such a program would ask another jemalloc.
 *
 * In some of them jemalloc allocates with its own locks held (it creates threads), so no look is
 * made inside.
 */
#include "je.h"

#include "arenas.h"
#include "fmt.h"
#include "hooks.h"
#include "look.h"
#include "runtime.h"
#include "thread_state.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* <jemalloc/jemalloc.h> need not be there when this is built. */
PLIM_EXPORT int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
PLIM_EXPORT int mallctlnametomib(const char *name, size_t *mib, size_t *miblen);
PLIM_EXPORT int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
                             void *newp, size_t newlen);
PLIM_EXPORT void malloc_stats_print(void (*write)(void *, const char *), void *arg,
                                    const char *opts);

/* Controls that do something to an arena; from DIRTY_DECAY on only where a value is set. */
enum work { DESTROY, RESET, PURGE, DECAY, DIRTY_DECAY, MUZZY_DECAY, EXTENT_HOOKS, NO_WORK };
static const char *const work_names[NO_WORK] = {
    "destroy", "reset", "purge", "decay", "dirty_decay_ms", "muzzy_decay_ms", "extent_hooks"};

struct job {
    enum work work;
    unsigned arena;
};
static const struct job no_job = {.work = NO_WORK};

struct entry {
    bool was_inside, ready;
    struct look_turn turn;
    struct job job;
    struct hooks_end end;
};

/* Takes the look lock where an arena ends or its pages are given back: no look or purge may be
 * under way, and no fork come between, as its child would find the arena marked as being purged for
 * ever. */
static struct entry enter(struct job job)
{
    struct entry e = {.was_inside = inside_enter(), .job = job};
    e.ready = job.work != NO_WORK && runtime_ready();
    bool ends = job.work == DESTROY || job.work == RESET; /* a purge may be reading the arena */
    if (e.ready && !e.was_inside)
        e.turn = look_begin(ends ? UINT64_MAX : look_wait_ns);
    if (JE_NEEDS_HOOKS && e.ready && job.work == DESTROY)
        e.end = hooks_arena_ends(job.arena);
    return e;
}

/* After jemalloc has done it. */
static void done(const struct entry *e)
{
    if (JE_NEEDS_HOOKS && e->job.work == DESTROY)
        hooks_arena_ended(&e->end);
    if (e->job.work == EXTENT_HOOKS)
        arenas_hooks_set(e->job.arena);
}

static int leave(struct entry e, int rc)
{
    if (rc == 0 && e.ready)
        done(&e);
    look_end(e.turn);
    inside_leave(e.was_inside);
    return rc;
}

static bool is_work(enum work work, bool sets)
{
    return work < DIRTY_DECAY || (work < NO_WORK && sets);
}

/* "arena.<i>.<work>" */
static struct job job_by_name(const char *name, bool sets)
{
    char *last;
    enum work work = DESTROY;
    if (strncmp(name, "arena.", 6) != 0)
        return no_job;
    unsigned long arena = strtoul(name + 6, &last, 10);
    while (work < NO_WORK && (*last != '.' || strcmp(last + 1, work_names[work]) != 0))
        work++;
    return is_work(work, sets) ? (struct job){work, (unsigned)u64_min(arena, UINT32_MAX)} : no_job;
}

/* jemalloc's numbers for the first and last parts of "arena.<i>.<work>"; of the last, plus one, 0:
 * not known yet. Every thread finds the same. */
static _Atomic size_t arena_part, work_parts[NO_WORK];

static void find_work_parts(void)
{
    for (size_t i = 0; i < NO_WORK; i++) {
        char name[32];
        size_t found[3] = {0}, len = ARRAY_LEN(found);
        struct fmt f = FMT_INIT(name);
        fmt_str(&f, "arena.0.");
        fmt_str(&f, work_names[i]);
        if (je_mallctlnametomib(name, found, &len) != 0)
            continue;
        atomic_store_explicit(&arena_part, found[0], memory_order_relaxed);
        atomic_store_explicit(&work_parts[i], found[2] + 1, memory_order_release);
    }
}

static struct job job_by_mib(const size_t *mib, size_t len, bool sets)
{
    enum work work = DESTROY;
    if (len != 3)
        return no_job;
    if (atomic_load_explicit(&work_parts[NO_WORK - 1], memory_order_acquire) == 0)
        find_work_parts();
    if (mib[0] != atomic_load_explicit(&arena_part, memory_order_relaxed))
        return no_job;
    while (work < NO_WORK &&
           atomic_load_explicit(&work_parts[work], memory_order_relaxed) != mib[2] + 1)
        work++;
    return is_work(work, sets) ? (struct job){work, (unsigned)u64_min(mib[1], UINT32_MAX)} : no_job;
}

#ifdef PLIM_JEMALLOC_SHARED
static struct je_extent_hooks *const ours = &hooks;

/* "arenas.create", which is of two parts. */
static bool mib_creates(const size_t *mib, size_t len)
{
    size_t found[2] = {0}, found_len = ARRAY_LEN(found);
    return len == ARRAY_LEN(found) &&
           je_mallctlnametomib("arenas.create", found, &found_len) == 0 &&
           memcmp(mib, found, sizeof(found)) == 0;
}
#endif

/* On the shared libjemalloc an arena that the program makes has our hooks only if it is made with
 * them. */
PLIM_EXPORT int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
    struct entry e = enter(job_by_name(name, newp != NULL));
#ifdef PLIM_JEMALLOC_SHARED
    if (newp == NULL && strcmp(name, "arenas.create") == 0 && runtime_ready())
        return leave(e, je_mallctl(name, oldp, oldlenp, (void *)&ours, sizeof(ours)));
#endif
    return leave(e, je_mallctl(name, oldp, oldlenp, newp, newlen));
}

PLIM_EXPORT int mallctlnametomib(const char *name, size_t *mib, size_t *miblen)
{
    struct entry e = enter(no_job);
    return leave(e, je_mallctlnametomib(name, mib, miblen));
}

PLIM_EXPORT int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
                             void *newp, size_t newlen)
{
    struct entry e = enter(job_by_mib(mib, miblen, newp != NULL));
#ifdef PLIM_JEMALLOC_SHARED
    if (newp == NULL && mib_creates(mib, miblen) && runtime_ready())
        return leave(e, je_mallctlbymib(mib, miblen, oldp, oldlenp, (void *)&ours, sizeof(ours)));
#endif
    return leave(e, je_mallctlbymib(mib, miblen, oldp, oldlenp, newp, newlen));
}

/* Calls the caller's function inside; what that allocates is not looked at. */
PLIM_EXPORT void malloc_stats_print(void (*write)(void *, const char *), void *arg,
                                    const char *opts)
{
    struct entry e = enter(no_job);
    je_malloc_stats_print(write, arg, opts);
    (void)leave(e, 0);
}
