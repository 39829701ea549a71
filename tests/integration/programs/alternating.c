/*
 * Fills memory with small blocks, frees them, does the same with large ones, and so on.
 *   alternating [--mib 60] [--rounds 4]
 * Prints faults_mib=N, the pages that were taken anew in the second half of the rounds.
 */
#include "workload.h"

#include <stdio.h>
#include <sys/resource.h>

static void fill_and_free(size_t bytes, size_t size)
{
    uint64_t random = 1;
    blocks_free(blocks_fill(bytes, size, size + 1, &random), false);
}

static long faults(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        die("getrusage");
    return usage.ru_minflt;
}

int main(int argc, char **argv)
{
    size_t bytes = (size_t)(option_number(argc, argv, "mib", 60) * 1048576);
    unsigned rounds = (unsigned)option_number(argc, argv, "rounds", 4);
    long before = 0;
    for (unsigned round = 0; round < rounds; round++) {
        if (round == rounds / 2)
            before = faults();
        fill_and_free(bytes, 1024);
        fill_and_free(bytes, (size_t)64 * 1024);
    }
    printf("faults_mib=%ld\n", (faults() - before) * 4 / 1024);
    return 0;
}
