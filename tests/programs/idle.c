/*
 * Uses memory as told by its arguments, then does nothing: idle [STEP MIB]...
 *
 *   grow MIB    allocates that much in blocks of 1 KiB to 64 KiB and writes to it
 *   drop MIB    frees that much of the newest blocks
 *   churn MIB   does both, five times
 *
 * Says "ready" and the lowest free descriptor. For each line on stdin it says how often the
 * library's watcher has woken up (-1: there is no library) and how many threads there are.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct block {
    struct block *below;
    size_t size;
};

static struct block *newest;

static void grow(size_t bytes)
{
    for (size_t i = 0; bytes > 0; i++) {
        size_t size = (size_t)1024 << i % 7;
        struct block *block = malloc(size);
        if (block == NULL)
            abort();
        memset(block, 1, size);
        *block = (struct block){.below = newest, .size = size};
        newest = block;
        bytes -= size < bytes ? size : bytes;
    }
}

static void drop(size_t bytes)
{
    while (bytes > 0 && newest != NULL) {
        struct block *block = newest;
        bytes -= block->size < bytes ? block->size : bytes;
        newest = block->below;
        free(block);
    }
}

static void step(const char *what, size_t bytes)
{
    if (strcmp(what, "grow") == 0)
        grow(bytes);
    else if (strcmp(what, "drop") == 0)
        drop(bytes);
    else
        for (int i = 0; i < 5; i++) {
            grow(bytes);
            drop(bytes);
        }
}

static long long wakeups(void)
{
    struct plim_stats stats = {.size = sizeof(stats)};
    return plim_present() && plim_stats(&stats) == 0 ? (long long)stats.watcher_wakeups : -1;
}

static int threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int count = -2; /* . and .. */
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    char line[16];
    for (int i = 1; i + 1 < argc; i += 2)
        step(argv[i], strtoul(argv[i + 1], NULL, 10) << 20);
    int lowest = open("/dev/null", O_RDONLY);
    close(lowest);
    /* No stdio from here on: it allocates, and then the program would not be idle. */
    dprintf(1, "ready %d\n", lowest);
    while (read(0, line, sizeof(line)) > 0)
        dprintf(1, "%lld %d\n", wakeups(), threads());
    return 0;
}
