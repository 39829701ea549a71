/*
 * Live memory that grows at a given rate and touches every page; nothing is freed until the end.
 *   grow [--mib 100] [--rate-mib 1024 a second; 0: full speed] [--block-kib 64] [--hold-s 0]
 *        [--churn-mib 0, replaced each second while it holds them] [--chunk-mib 10, between lines]
 *        [--free-first-mib 0, allocated and freed before it starts]
 * Prints live_mib=N at every chunk, refused_at_mib=N when malloc says ENOMEM (then gives back a
 * chunk, prints went_on=1 and ends with status 3), grown=1 at the end. Then it holds all blocks for
 * --hold-s; with --churn-mib it prints churned_mib=N level=N (the library's) meanwhile.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

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

/* Grows until *live, which it counts up, is `target`; false when malloc refuses. */
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

static void must_grow_to(double target, size_t block_size, double *live)
{
    if (!grow_to(target, block_size, live))
        die("malloc failed at %.0f MiB", *live / mib);
}

/* Frees the newest blocks and allocates as much again, in other sizes each time. */
static void churn(double seconds, double rate, double *live)
{
    static const size_t sizes[] = {16384, 40960, 2048, 98304, 8192};
    double total = *live, churned = 0, start = now_s();
    for (size_t i = 0; now_s() - start < seconds; i++) {
        double step = total / 10;
        *live -= give_back(step);
        must_grow_to(total, sizes[i % (sizeof(sizes) / sizeof(sizes[0]))], live);
        churned += step;
        printf("churned_mib=%.0f level=%d\n", churned / mib,
               plim_present() ? (int)plim_level() : -1);
        double due = start + churned / rate;
        if (due > now_s())
            sleep_s(due - now_s());
    }
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
    double hold = option_number(argc, argv, "hold-s", 0);
    double churn_rate = option_number(argc, argv, "churn-mib", 0) * mib;
    if (churn_rate > 0)
        churn(hold, churn_rate, &live);
    else
        sleep_s(hold);
    give_back(live);
    return 0;
}
