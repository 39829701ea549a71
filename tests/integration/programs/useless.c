/*
 * A reclaimer that gives nothing, a little past the soft limit of a box of 256 MiB.
 *   useless alone              nothing else frees memory
 *   useless beside_free_pages  the program keeps fewer free pages than are worth a purge
 *   useless asked              the program calls plim_reclaim() every two seconds
 * Runs until the library says that it cannot meet the limit, or for a minute. Prints calls=N (of
 * the reclaimer), asked=N (by the program), cannot_meet=1 and ok=1 at the end. Needs the library.
 */
#include "stats_now.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t KIB = 1024, MIB = 1048576;
static const double patience_s = 60, pause_s = 0.002, asks_every_s = 2;

static _Atomic unsigned calls;

static size_t give_nothing(const struct plim_pressure *pressure, void *arg)
{
    (void)pressure;
    (void)arg;
    atomic_fetch_add(&calls, 1);
    return 0;
}

static void use(size_t bytes, bool keep)
{
    volatile char *block = malloc(bytes); /* volatile: else nothing is written, nor allocated */
    if (!block)
        die("malloc failed");
    for (size_t i = 0; i < bytes; i += 4 * KIB)
        block[i] = 1;
    if (!keep)
        free((void *)(uintptr_t)block);
}

static void pass_the_soft_limit(void)
{
    do
        use(100 * KIB, true);
    while (!past_soft_limit());
}

int main(int argc, char **argv)
{
    const char *scenario = argc > 1 ? argv[1] : "";
    unsigned asked = 0;
    if (plim_reclaimer_add("nothing", give_nothing, NULL, PLIM_MEDIUM) < 0)
        die("cannot add a reclaimer");
    pass_the_soft_limit();
    double began = now_s(), next = began;
    while (now_s() - began < patience_s && !stats_now().cannot_meet_limit) {
        if (!strcmp(scenario, "beside_free_pages"))
            use(700 * KIB, false);
        if (!strcmp(scenario, "asked") && now_s() >= next) {
            (void)plim_reclaim(64 * MIB);
            next = now_s() + asks_every_s;
            asked++;
        }
        sleep_s(pause_s);
    }
    printf("calls=%u asked=%u cannot_meet=%u ok=1\n", atomic_load(&calls), asked,
           stats_now().cannot_meet_limit);
    return 0;
}
