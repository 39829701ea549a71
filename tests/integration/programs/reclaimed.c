/*
 * What plim_reclaim() says that it gave back.
 *   reclaimed medium    a reclaimer, added from PLIM_MEDIUM, frees one block of 64 MiB
 *   reclaimed critical  the same, added from PLIM_CRITICAL
 * Prints calls=N (of the reclaimer), said_mib=N (by plim_reclaim), gone_mib=N (of what was
 * resident) and ok=1 at the end. Needs the library.
 */
#include "stats_now.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t MIB = 1048576, BLOCK = 64 * MIB;

static _Atomic unsigned calls;
static _Atomic(char *) block;

static size_t free_it(const struct plim_pressure *pressure, void *arg)
{
    char *mine = atomic_exchange(&block, NULL);
    (void)pressure, (void)arg;
    atomic_fetch_add(&calls, 1);
    free(mine);
    return mine ? BLOCK : 0;
}

static void reclaim(enum plim_level from)
{
    if (plim_reclaimer_add("block", free_it, NULL, from) < 0)
        die("cannot add a reclaimer");
    char *made = malloc(BLOCK);
    if (!made)
        die("malloc failed");
    memset(made, 1, BLOCK);
    atomic_store(&block, made);
    double before = (double)own_memory(OWN_RESIDENT);
    double said = (double)plim_reclaim(BLOCK);
    printf("calls=%u said_mib=%.1f gone_mib=%.1f\n", atomic_load(&calls), said / (double)MIB,
           (before - (double)own_memory(OWN_RESIDENT)) / (double)MIB);
}

static void medium(void)
{
    reclaim(PLIM_MEDIUM);
}

static void critical(void)
{
    reclaim(PLIM_CRITICAL);
}

int main(int argc, char **argv)
{
    static const struct scenario scenarios[] = {{"medium", medium}, {"critical", critical}};
    scenario_run(scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc > 1 ? argv[1] : NULL);
    return 0;
}
