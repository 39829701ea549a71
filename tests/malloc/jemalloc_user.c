/*
 * A program made for jemalloc and linked to it. Prints one TAP line for each thing that works; its
 * blocks must come from the library that is preloaded, whose path is the only argument.
 */
#include <dlfcn.h>
#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *malloc_conf = "narenas:3,lg_tcache_max:13";

static int cases, failed;

static void check(bool ok, const char *what)
{
    cases++;
    failed += !ok;
    printf("%sok %d - %s\n", ok ? "" : "not ", cases, what);
}

static const char *home_of(void *function)
{
    Dl_info info;
    return dladdr(function, &info) != 0 ? info.dli_fname : "?";
}

static void check_home(const char *library)
{
    void *functions[] = {(void *)(size_t)&malloc,
                         (void *)(size_t)&free,
                         (void *)(size_t)&mallocx,
                         (void *)(size_t)&rallocx,
                         (void *)(size_t)&xallocx,
                         (void *)(size_t)&sallocx,
                         (void *)(size_t)&dallocx,
                         (void *)(size_t)&sdallocx,
                         (void *)(size_t)&nallocx,
                         (void *)(size_t)&mallctl,
                         (void *)(size_t)&mallctlnametomib,
                         (void *)(size_t)&mallctlbymib,
                         (void *)(size_t)&malloc_stats_print,
                         (void *)(size_t)&malloc_usable_size};
    bool ours = true;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        ours = ours && access(library, R_OK) == 0 && strcmp(home_of(functions[i]), library) == 0;
    check(ours, "every function is the preloaded one");
}

static void check_blocks(void)
{
    char *p = mallocx(1000, MALLOCX_ZERO);
    check(p != NULL && p[0] == 0 && p[999] == 0, "mallocx");
    check(sallocx(p, 0) >= 1000 && sallocx(p, 0) == malloc_usable_size(p), "sallocx");
    check(nallocx(1000, 0) == sallocx(p, 0), "nallocx");
    p[999] = 'x';
    p = rallocx(p, 100000, 0);
    check(p != NULL && p[999] == 'x' && sallocx(p, 0) >= 100000, "rallocx");
    check(xallocx(p, 100, 0, 0) >= 100, "xallocx");
    dallocx(p, 0);
    p = mallocx(5 << 20, MALLOCX_ALIGN(1 << 16));
    check(p != NULL && ((uintptr_t)p & 0xffff) == 0, "mallocx, aligned");
    sdallocx(p, 5 << 20, MALLOCX_ALIGN(1 << 16));
    free(mallocx(100, 0));
    dallocx(malloc(100), 0);
    sdallocx(calloc(10, 10), 100, 0);
    check(true, "blocks of one API are freed by the other");
    check(mallocx(PTRDIFF_MAX, 0) == NULL, "mallocx of the impossible");
    p = mallocx(100, 0);
    check(rallocx(p, PTRDIFF_MAX, 0) == NULL, "rallocx of the impossible");
    check(xallocx(p, 100, SIZE_MAX - 200, 0) >= 100, "xallocx with a vast extra");
    dallocx(p, 0);
}

static uint64_t allocated(void)
{
    uint64_t epoch = 1;
    size_t value = 0, len = sizeof(epoch);
    mallctl("epoch", &epoch, &len, &epoch, len);
    len = sizeof(value);
    mallctl("stats.allocated", &value, &len, NULL, 0);
    return value;
}

static void check_controls(void)
{
    unsigned narenas = 0;
    size_t len = sizeof(narenas), mib[4], mib_len = 4, tcache_max = 0;
    check(mallctl("opt.narenas", &narenas, &len, NULL, 0) == 0 && narenas == 3,
          "malloc_conf of the program counts");
    len = sizeof(tcache_max);
    check(mallctl("arenas.tcache_max", &tcache_max, &len, NULL, 0) == 0 && tcache_max == 8192,
          "malloc_conf, second setting");
    uint64_t before = allocated();
    void *p = malloc(40 << 20);
    check(allocated() >= before + (39 << 20), "what malloc gives is in the statistics");
    free(p);
    check(mallctl("no.such", NULL, NULL, NULL, 0) == ENOENT, "mallctl of an unknown name");
    len = sizeof(narenas);
    check(mallctlnametomib("arenas.narenas", mib, &mib_len) == 0 &&
              mallctlbymib(mib, mib_len, &narenas, &len, NULL, 0) == 0 && narenas >= 3,
          "mallctlnametomib, mallctlbymib");
    check(mallctl("thread.tcache.flush", NULL, NULL, NULL, 0) == 0, "thread.tcache.flush");
}

static void check_arenas(void)
{
    unsigned index = 0, again = 0;
    size_t len = sizeof(index);
    char name[40];
    check(mallctl("arenas.create", &index, &len, NULL, 0) == 0 && index >= 3, "arenas.create");
    int flags = MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE;
    char *p = mallocx(10 << 20, flags);
    unsigned home = 0;
    check(p != NULL && mallctl("arenas.lookup", &home, &len, &p, sizeof(p)) == 0 && home == index,
          "blocks of an arena of one's own");
    memset(p, 1, 10 << 20);
    dallocx(p, flags);
    snprintf(name, sizeof(name), "arena.%u.purge", index);
    check(mallctl(name, NULL, NULL, NULL, 0) == 0, "arena.<i>.purge");
    snprintf(name, sizeof(name), "arena.%u.reset", index);
    check(mallctl(name, NULL, NULL, NULL, 0) == 0, "arena.<i>.reset");
    snprintf(name, sizeof(name), "arena.%u.destroy", index);
    check(mallctl(name, NULL, NULL, NULL, 0) == 0, "arena.<i>.destroy");
    check(mallctl("arenas.create", &again, &len, NULL, 0) == 0, "arenas.create once more");
    flags = MALLOCX_ARENA(again) | MALLOCX_TCACHE_NONE;
    p = mallocx(1 << 20, flags);
    check(p != NULL, "the new arena works");
    dallocx(p, flags);
    len = 1;
    check(mallctl("arenas.create", &again, &len, NULL, 0) == EINVAL, "arenas.create, wrong size");
}

/* Hooks of the program's own, which only call the default ones. */
static void check_hooks(void)
{
    static extent_hooks_t own;
    extent_hooks_t *found = NULL, *given = &own;
    unsigned index = 0;
    size_t len = sizeof(found);
    char name[40];
    check(mallctl("arena.0.extent_hooks", &found, &len, NULL, 0) == 0, "arena.0.extent_hooks");
    own = *found;
    len = sizeof(index);
    check(mallctl("arenas.create", &index, &len, &given, sizeof(given)) == 0,
          "arenas.create with hooks");
    snprintf(name, sizeof(name), "arena.%u.purge", index);
    int flags = MALLOCX_ARENA(index) | MALLOCX_TCACHE_NONE;
    for (int i = 0; i < 3; i++) { /* the arena's pages are taken, given back and taken again */
        char *p = mallocx(3 << 20, flags);
        check(p != NULL, "an arena with hooks");
        memset(p, 1, 3 << 20);
        dallocx(p, flags);
        check(mallctl(name, NULL, NULL, NULL, 0) == 0, "purge of an arena with hooks");
    }
}

static size_t printed;

static void count_output(void *arg, const char *text)
{
    (void)arg;
    printed += strlen(text);
}

static void check_output(void)
{
    malloc_stats_print(count_output, NULL, "J");
    check(printed > 1000, "malloc_stats_print");
    printed = 0;
    malloc_message = count_output;
    malloc_stats_print(NULL, NULL, NULL);
    check(printed > 1000, "malloc_message");
}

int main(int argc, char **argv)
{
    check_home(argc > 1 ? argv[1] : "");
    check_blocks();
    check_controls();
    check_arenas();
    check_hooks();
    check_output();
    printf("1..%d\n", cases);
    return failed != 0;
}
