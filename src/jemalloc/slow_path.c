/*
 * The gate, where jemalloc's fast path ends.
 *
 * malloc and its kin are jemalloc's own functions: what a thread's cache can serve costs what it
 * costs there, and takes no page into use. Everything else leaves jemalloc.c, or arena.c behind
 * it, by one of the calls below, which the build directs here (src/jemalloc/prefix). None of
 * jemalloc's locks is held then. Types it keeps to itself are void here; everything is as in
 * jemalloc 5.3.0.
 */
#include "instead.h"

#include "../admit.h"
#include "../je.h"
#include "../runtime.h"
#include "../thread_state.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

void *je_tcache_alloc_small_hard(void *tsdn, void *arena, void *tcache, void *bin, unsigned index,
                                 bool *ret_success);
void *je_arena_malloc_hard(void *tsdn, void *arena, size_t size, unsigned index, bool zero);
void *je_arena_palloc(void *tsdn, void *arena, size_t size, size_t alignment, bool zero,
                      void *tcache);
void *je_large_malloc(void *tsdn, void *arena, size_t size, bool zero);
void *je_large_palloc(void *tsdn, void *arena, size_t size, size_t alignment, bool zero);
bool je_arena_ralloc_no_move(void *tsdn, void *ptr, size_t old_size, size_t size, size_t extra,
                             bool zero, size_t *ret_size);
void je_te_event_trigger(void *tsd, void *event);
void je_sc_boot(void *size_classes);
bool je_tsd_tcache_enabled_data_init(void *tsd);
void je_tcache_cleanup(void *tsd);
void je_tsd_slow_update(void *tsd);

void *small_hard(void *tsdn, void *arena, void *tcache, void *bin, unsigned index,
                 bool *ret_success) INSTEAD(tcache_alloc_small_hard);
void *malloc_hard(void *tsdn, void *arena, size_t size, unsigned index, bool zero)
    INSTEAD(arena_malloc_hard);
void *malloc_large(void *tsdn, void *arena, size_t size, bool zero) INSTEAD(large_malloc);
void *malloc_aligned(void *tsdn, void *arena, size_t size, size_t alignment, bool zero)
    INSTEAD(large_palloc);
bool resize_in_place(void *tsdn, void *ptr, size_t old_size, size_t size, size_t extra, bool zero,
                     size_t *ret_size) INSTEAD(arena_ralloc_no_move);
void *own_hard(void *tsdn, void *arena, size_t size, unsigned index, bool zero)
    INSTEAD(own_arena_malloc_hard);
void *own_aligned(void *tsdn, void *arena, size_t size, size_t alignment, bool zero, void *tcache)
    INSTEAD(own_arena_palloc);
void *cache_room(void *tsdn, void *arena, size_t size, size_t alignment, bool zero, void *tcache)
    INSTEAD(cache_arena_palloc);
void event(void *tsd, void *what) INSTEAD(te_event_trigger);
void *symbol(void *handle, const char *name) INSTEAD(dlsym);
void size_classes_boot(void *size_classes) INSTEAD(sc_boot);
bool thread_begins(void *tsd) INSTEAD(tsd_tcache_enabled_data_init);
void thread_ends(void *tsd) INSTEAD(tcache_cleanup);

static bool refused(size_t size)
{
    return gate_stops(size) && !admit_request(size);
}

/* jemalloc's exported functions set errno when they get NULL, all but realloc; so pages.c and this
 * set it. */
static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* The thread's cache has no block of that size left: some are fetched. Never refused. */
void *small_hard(void *tsdn, void *arena, void *tcache, void *bin, unsigned index,
                 bool *ret_success)
{
    (void)refused(0);
    return je_tcache_alloc_small_hard(tsdn, arena, tcache, bin, index, ret_success);
}

/* A request past the cache. A large one comes by malloc_large next. */
void *malloc_hard(void *tsdn, void *arena, size_t size, unsigned index, bool zero)
{
    (void)refused(0);
    return je_arena_malloc_hard(tsdn, arena, size, index, zero);
}

void *malloc_large(void *tsdn, void *arena, size_t size, bool zero)
{
    if (refused(size))
        return no_memory();
    void *p = je_large_malloc(tsdn, arena, size, zero);
    requests_served();
    return p;
}

/* Aligned to more than a cache line, and large; small ones come by malloc's paths. */
void *malloc_aligned(void *tsdn, void *arena, size_t size, size_t alignment, bool zero)
{
    if (refused(size))
        return no_memory();
    void *p = je_large_palloc(tsdn, arena, size, alignment, zero);
    requests_served();
    return p;
}

/* true: it could not be resized. */
bool resize_in_place(void *tsdn, void *ptr, size_t old_size, size_t size, size_t extra, bool zero,
                     size_t *ret_size)
{
    size_t most = extra < SIZE_MAX - size ? size + extra : SIZE_MAX;
    if (extra > 0 && most > old_size && refused(most - old_size))
        extra = 0;
    if (extra == 0 && size > old_size && refused(size - old_size)) {
        *ret_size = old_size;
        return true;
    }
    bool failed = je_arena_ralloc_no_move(tsdn, ptr, old_size, size, extra, zero, ret_size);
    requests_served();
    return failed;
}

/* What jemalloc allocates for itself also comes by arena.c. Its locks may be held and its caches
 * half made then, so this is not looked at. */
void *own_hard(void *tsdn, void *arena, size_t size, unsigned index, bool zero)
{
    bool was_inside = inside_enter();
    void *p = je_arena_malloc_hard(tsdn, arena, size, index, zero);
    inside_leave(was_inside);
    return p;
}

void *own_aligned(void *tsdn, void *arena, size_t size, size_t alignment, bool zero, void *tcache)
{
    bool was_inside = inside_enter();
    void *p = je_arena_palloc(tsdn, arena, size, alignment, zero, tcache);
    inside_leave(was_inside);
    return p;
}

/* Called every 64 KiB or so that a thread allocates or frees, even if its cache serves all of it.
 * So no thread keeps a full cache for long once it should be emptied, withholds what it has freed
 * from others that need the room, or fills slabs unseen whose pages had been given back. */
void event(void *tsd, void *what)
{
    if (unlikely(admit_flush_wanted()))
        admit_flush();
    if (unlikely(admit_freed_wanted()))
        admit_freed();
    const bool *allocates = what; /* the first of its fields */
    if (unlikely(admit_refilled_wanted()) && *allocates)
        admit_refilled();
    je_te_event_trigger(tsd, what);
}

/*
 * jemalloc creates its background threads with its own locks held, by a pthread_create that it has
 * looked up. It gets create_inside() instead: what that allocates is not looked at.
 */
typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static create_fn *next_create; /* written once, at jemalloc's start */

static int create_inside(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                         void *arg)
{
    bool was_inside = inside_enter();
    int rc = next_create(thread, attr, start, arg);
    inside_leave(was_inside);
    return rc;
}

void *symbol(void *handle, const char *name)
{
    void *found = dlsym(handle, name);
    if (found == NULL || strcmp(name, "pthread_create") != 0)
        return found;
    next_create = (create_fn *)found;
    return (void *)create_inside;
}

/*
 * When a thread calls jemalloc for the first time. jemalloc does not check whether it got room for
 * the thread's cache, and would use one at address 0: without room the thread gets no cache here.
 * Nor do our own threads, which allocate only in reclaimers: without a cache they have no arena,
 * which saves 140 KiB in a process with one thread of its own.
 */
static _Thread_local bool no_cache_room __attribute__((tls_model("initial-exec")));

/* The program's call may succeed without a cache, and must leave errno alone then. */
void *cache_room(void *tsdn, void *arena, size_t size, size_t alignment, bool zero, void *tcache)
{
    int error = errno;
    void *room = own_aligned(tsdn, arena, size, alignment, zero, tcache);
    errno = error;
    no_cache_room = room == NULL;
    return room;
}

bool thread_begins(void *tsd)
{
    if (thread_state.ours)
        return false;
    no_cache_room = false;
    bool failed = je_tsd_tcache_enabled_data_init(tsd);
    if (unlikely(no_cache_room)) {
        bool *has_cache = tsd; /* the first of its fields */
        *has_cache = false;
        je_tsd_slow_update(tsd);
    }
    return failed;
}

/* A thread that has called jemalloc ends. */
void thread_ends(void *tsd)
{
    requests_thread_ends();
    je_tcache_cleanup(tsd);
}

/* jemalloc starts: its settings must be known from here on. */
void size_classes_boot(void *size_classes)
{
    runtime_configure();
    je_sc_boot(size_classes);
}
