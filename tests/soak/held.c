/* What the heap holds at a quiet point, by jemalloc's own count. See soak.h. */
#include "soak.h"

#include <stdio.h>
#include <unistd.h>

/* jemalloc's function, where jemalloc is there. */
extern int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));

size_t jemalloc_size(const char *name)
{
    size_t value = 0, len = sizeof(value);
    if (mallctl)
        mallctl(name, &value, &len, NULL, 0);
    return value;
}

static unsigned jemalloc_count(const char *name)
{
    unsigned value = 0;
    size_t len = sizeof(value);
    if (mallctl)
        mallctl(name, &value, &len, NULL, 0);
    return value;
}

void jemalloc_refresh(void)
{
    uint64_t epoch = 1;
    if (mallctl)
        mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
}

void jemalloc_tidy(void)
{
    if (!mallctl)
        return;
    mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
}

size_t metadata_bytes(void)
{
    jemalloc_refresh();
    size_t pages =
        jemalloc_size("stats.arenas.4096.pactive") + jemalloc_size("stats.arenas.4096.pdirty");
    size_t heap = pages * (size_t)sysconf(_SC_PAGESIZE), all = jemalloc_size("stats.resident");
    return all > heap ? all - heap : 0;
}

/* kind: "bin" or "lextent"; held: the field that counts its blocks in use. */
static void print_classes(const char *kind, const char *held, unsigned count)
{
    char name[80];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "arenas.%s.%u.size", kind, i);
        size_t size = jemalloc_size(name);
        snprintf(name, sizeof(name), "stats.arenas.4096.%ss.%u.%s", kind, i, held);
        size_t blocks = jemalloc_size(name);
        if (blocks > 0)
            printf(" %zu=%zu", size, blocks * size);
    }
}

void classes_print(void)
{
    printf("classes");
    print_classes("bin", "curregs", jemalloc_count("arenas.nbins"));
    print_classes("lextent", "curlextents", jemalloc_count("arenas.nlextents"));
    printf("\n");
}
