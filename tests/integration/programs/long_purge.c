/*
 * A reclaimer frees blocks of all small sizes while another thread's purge takes long: a hook of
 * the program's own, on an arena of its own, holds it up until the pass is over.
 * Prints freed=BYTES stalled=1 cached=BYTES (what threads keep in their caches at the end), ok=1.
 * Needs the library.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "workload.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* jemalloc's extent hooks; its header need not be installed. */
typedef struct hooks hooks_t;
struct hooks {
    void *(*alloc)(hooks_t *, void *addr, size_t size, size_t alignment, bool *zero, bool *commit,
                   unsigned arena);
    void *dalloc, *destroy, *commit, *decommit, *purge_lazy; /* none: pages are purged by force */
    bool (*purge_forced)(hooks_t *, void *addr, size_t size, size_t offset, size_t length,
                         unsigned arena);
    void *split, *merge;
};
extern int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));
extern void *mallocx(size_t size, int flags) __attribute__((weak));
extern void dallocx(void *block, int flags) __attribute__((weak));
enum { MALLOCX_NO_CACHE = 1 << 8, MALLOCX_ARENA_SHIFT = 20 };

enum { BLOCKS = 4000, ARENA_BLOCK = 1 << 16, CACHED_FEW = 32 << 10 };
/* For what must happen sooner or later. */
static const double patience_s = 60;

static void *blocks[BLOCKS];
static _Atomic bool purge_wanted, stalled, pass_over;

static void wait_for(_Atomic bool *flag)
{
    for (double start = now_s(); !atomic_load(flag) && now_s() - start < patience_s;)
        sleep_s(0.001);
}

/* --- the arena --- */

static void *map(hooks_t *h, void *addr, size_t size, size_t alignment, bool *zero, bool *commit,
                 unsigned arena)
{
    (void)h, (void)arena;
    if (addr != NULL)
        return NULL;
    char *at =
        mmap(NULL, size + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    *zero = *commit = true;
    return (void *)(((uintptr_t)at + alignment - 1) & ~(alignment - 1));
}

static bool purge_slowly(hooks_t *h, void *addr, size_t size, size_t offset, size_t length,
                         unsigned arena)
{
    (void)h, (void)size, (void)arena;
    atomic_store(&stalled, true);
    wait_for(&pass_over);
    return madvise((char *)addr + offset, length, MADV_DONTNEED) != 0;
}

/* Leaves free pages in an arena that is purged slowly. */
static void make_arena(void)
{
    static hooks_t hooks = {.alloc = map, .purge_forced = purge_slowly}, *ours = &hooks;
    unsigned arena;
    size_t len = sizeof(arena);
    if (mallctl("arenas.create", &arena, &len, &ours, sizeof(ours)) != 0)
        die("no arena");
    int flags = (int)(arena + 1) << MALLOCX_ARENA_SHIFT | MALLOCX_NO_CACHE;
    void *block = mallocx(ARENA_BLOCK, flags);
    if (block == NULL)
        die("mallocx failed");
    dallocx(block, flags);
}

static void *purge_all(void *arg)
{
    wait_for(&purge_wanted);
    malloc_trim(0);
    return arg;
}

/* --- the reclaimer --- */

static size_t drop(const struct plim_pressure *pressure, void *arg)
{
    size_t freed = 0;
    (void)pressure, (void)arg;
    for (size_t i = 0; i < BLOCKS && blocks[i]; i++) {
        freed += malloc_usable_size(blocks[i]);
        free(blocks[i]);
        blocks[i] = NULL;
    }
    atomic_store(&purge_wanted, true);
    wait_for(&stalled);
    if (freed > 0)
        printf("freed=%zu\n", freed);
    return freed;
}

/* Bytes in the caches of all threads but this one. */
static size_t cached(void)
{
    uint64_t epoch = 1;
    size_t bytes = 0, len = sizeof(bytes);
    mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    if (mallctl("stats.arenas.4096.tcache_bytes", &bytes, &len, NULL, 0) != 0)
        die("no count of what is cached");
    return bytes;
}

int main(void)
{
    pthread_t purger;
    setlinebuf(stdout);
    if (!plim_present())
        die("needs the library");
    make_arena();
    for (size_t i = 0; i < BLOCKS; i++) {
        if (!(blocks[i] = malloc(256 + i * 1931 % 7936)))
            die("malloc failed");
    }
    if (pthread_create(&purger, NULL, purge_all, NULL) != 0)
        die("cannot start a thread");
    plim_reclaimer_add("blocks", drop, NULL, PLIM_MEDIUM);
    plim_reclaim((uint64_t)1 << 26); /* returns when the pass is over, or after a second */
    atomic_store(&pass_over, true);
    pthread_join(purger, NULL);
    double start = now_s();
    while (cached() > CACHED_FEW && now_s() - start < patience_s)
        sleep_s(0.02);
    printf("stalled=%d cached=%zu ok=1\n", atomic_load(&stalled), cached());
    return 0;
}
