/*
 * Fills the page cache: writes a file and reads it again and again, with a small heap beside it.
 *   pagecache [--mib 200] [--passes 2] [--heap-mib 20] [--dir DIRECTORY] [--hold-s 0] [--cold]
 * With --cold each pass reads from the disk and prints its number: read=N.
 * Prints calls=N (its reclaimer's) purges=N usage_mib=N level=N at the end; -1 where unknown.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "workload.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER = 1 << 20 };

static _Atomic int calls;
static char buffer[BUFFER];
static void *volatile some_block; /* volatile: the compiler must not leave it out */

static size_t count_call(const struct plim_pressure *pressure, void *arg)
{
    (void)pressure, (void)arg;
    atomic_fetch_add(&calls, 1);
    return 0;
}

static const char *option_text(int argc, char **argv, const char *name, const char *fallback)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    }
    return fallback;
}

/* Returns an open file that no longer has a name. */
static int make_file(const char *dir, int mib)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/plim_page_cache_XXXXXX", dir);
    int fd = mkstemp(path);
    if (fd < 0)
        die("cannot make a file in %s", dir);
    unlink(path);
    memset(buffer, 1, sizeof(buffer));
    for (int i = 0; i < mib; i++) {
        if (write(fd, buffer, sizeof(buffer)) != (ssize_t)sizeof(buffer))
            die("cannot write to a file in %s", dir);
    }
    /* Clean pages are what the kernel can drop at once. */
    fsync(fd);
    return fd;
}

static void read_file(int fd)
{
    for (off_t at = 0; pread(fd, buffer, sizeof(buffer), at) > 0; at += (off_t)sizeof(buffer))
        ;
}

static void tell(const char *key, int value)
{
    printf("%s=%d\n", key, value);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int mib = (int)option_number(argc, argv, "mib", 200);
    int passes = (int)option_number(argc, argv, "passes", 2);
    size_t heap = (size_t)(option_number(argc, argv, "heap-mib", 20) * 1048576);
    if (plim_present())
        plim_reclaimer_add("page cache", count_call, NULL, PLIM_LOW);
    for (size_t held = 0, got; held < heap; held += got) {
        if (!block_new(8192, &got))
            die("malloc failed");
    }
    bool cold = option_given(argc, argv, "cold");
    int fd = make_file(option_text(argc, argv, "--dir", "/var/tmp"), mib);
    for (int i = 0; i < passes; i++) {
        if (cold)
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        read_file(fd);
        if (cold)
            tell("read", i + 1);
        some_block = malloc(100000); /* so that the process is not idle */
        free(some_block);
    }
    tell("filled", 1);
    sleep_s(option_number(argc, argv, "hold-s", 0));
    double purges = -1, usage = -1;
    if (plim_present()) {
        struct plim_stats stats = {.size = sizeof(stats)};
        if (plim_stats(&stats) == 0) {
            purges = (double)stats.purges;
            usage = stats.usage == UINT64_MAX ? -1 : (double)(stats.usage >> 20);
        }
    }
    printf("calls=%d purges=%.0f usage_mib=%.0f level=%d\n", atomic_load(&calls), purges, usage,
           plim_present() ? (int)plim_level() : -1);
    return 0;
}
