/*
 * Live memory that grows at a given rate and touches every page; nothing is freed until the end.
 *   grow [--mib 100] [--rate-mib 1024 a second; 0: full speed] [--block-kib 64] [--hold-s 0]
 *        [--chunk-mib 10, between lines] [--free-first-mib 0, allocated and freed before it starts]
 * Prints live_mib=N at every chunk, refused_at_mib=N when malloc says ENOMEM (then gives back a
 * chunk, says went_on=1 and ends with status 3), grown=1 at the end, and holds it all for a while.
 */
#include "workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const double mib = 1048576;
static struct block *newest; /* all blocks, newest first */

static double give_back(double bytes)
{
    double freed = 0;
    while (newest && freed < bytes) {
        struct block *block = newest;
        newest = block->next;
        freed += (double)block->size;
        free(block);
    }
    return freed;
}

/* Grows to `target`, where *live counts; false when malloc refuses. */
static bool grow_to(double target, size_t block_size, double *live)
{
    while (*live < target) {
        size_t held;
        struct block *block = block_new(block_size, &held);
        if (!block)
            return false;
        block->next = newest;
        newest = block;
        *live += (double)block_size;
    }
    return true;
}

int main(int argc, char **argv)
{
    double total = option_number(argc, argv, "mib", 100) * mib;
    double rate = option_number(argc, argv, "rate-mib", 1024) * mib;
    double chunk = option_number(argc, argv, "chunk-mib", 10) * mib;
    size_t block_size = (size_t)(option_number(argc, argv, "block-kib", 64) * 1024);
    double live = 0;
    setlinebuf(stdout);
    grow_to(option_number(argc, argv, "free-first-mib", 0) * mib, block_size, &live);
    live -= give_back(live);
    double start = now_s();
    while (live < total) {
        if (!grow_to(live + chunk < total ? live + chunk : total, block_size, &live)) {
            int err = errno;
            printf("refused_at_mib=%.0f enomem=%d\n", live / mib, err == ENOMEM);
            live -= give_back(chunk);
            if (grow_to(live + (double)block_size, block_size, &live))
                printf("went_on=1\n");
            return 3;
        }
        printf("live_mib=%.0f\n", live / mib);
        double due = rate > 0 ? start + live / rate : 0;
        if (due > now_s())
            sleep_s(due - now_s());
    }
    printf("grown=1\n");
    sleep_s(option_number(argc, argv, "hold-s", 0));
    give_back(live);
    return 0;
}
