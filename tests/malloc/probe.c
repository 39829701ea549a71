/*
 * Prints what the library makes of its environment, as key=value lines: probe [MIB [SIZE]]
 *
 * MIB: first allocates and writes this much, in blocks of SIZE bytes (default: 128 KiB less 64).
 * Built with the library linked; jemalloc is asked through its API.
 */
#include <dlfcn.h>
#include <plimsoll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/types.h>

int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);

static void *use(size_t mib, size_t size)
{
    size_t count = (mib << 20) / size;
    char **blocks = calloc(count + 1, sizeof(*blocks));
    for (size_t i = 0; blocks != NULL && i < count; i++) {
        blocks[i] = malloc(size);
        if (blocks[i] != NULL)
            memset(blocks[i], 1, size);
    }
    return blocks;
}

static void print_jemalloc(const char *key, const char *name, size_t len)
{
    union {
        unsigned u;
        ssize_t z;
        bool b;
    } v = {.z = 0};
    if (mallctl(name, &v, &len, NULL, 0) == 0)
        printf("%s=%zd\n", key, len == 1 ? (ssize_t)v.b : len == 4 ? (ssize_t)v.u : v.z);
}

int main(int argc, char **argv)
{
    struct plim_stats stats = {.size = sizeof(stats)};
    struct plim_limits limits = {.size = sizeof(limits)};
    Dl_info info;
    size_t size = argc > 2 ? (size_t)atol(argv[2]) : ((size_t)1 << 17) - 64;
    void *blocks = argc > 1 ? use((size_t)atol(argv[1]), size) : NULL;
    printf("secure=%lu\n", getauxval(AT_SECURE));
    printf("stats=%d\n", plim_stats(&stats));
    printf("limits=%d\n", plim_limits(&limits));
    printf("level=%d\n", (int)plim_level());
    printf("cpus=%u\n", plim_cpus());
    printf("soft=%llu\n", (unsigned long long)limits.soft);
    printf("committed=%llu\n", (unsigned long long)stats.committed);
    printf("looks=%llu\n", (unsigned long long)stats.looks);
    printf("wakeups=%llu\n", (unsigned long long)stats.watcher_wakeups);
    print_jemalloc("narenas", "opt.narenas", sizeof(unsigned));
    print_jemalloc("arenas", "arenas.narenas", sizeof(unsigned));
    print_jemalloc("decay", "opt.dirty_decay_ms", sizeof(ssize_t));
    print_jemalloc("decay_now", "arena.0.dirty_decay_ms", sizeof(ssize_t));
    print_jemalloc("tcache", "opt.tcache", sizeof(bool));
    print_jemalloc("oversize", "opt.oversize_threshold", sizeof(size_t));
    printf("library=%s\n", dladdr((void *)(size_t)&plim_level, &info) != 0 ? info.dli_fname : "");
    free(blocks);
    return 0;
}
