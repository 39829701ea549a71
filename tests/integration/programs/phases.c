/*
 * Threads that fill memory with blocks of one range of sizes, free them and go on to the next.
 *   phases [--threads 8] [--live-mib 200] [--rounds 12] [--verify]
 * Prints done=1 and the seconds it took. Exits 1 where a block was damaged or refused.
 */
#include "workload.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct phases phases = {
        .threads = (unsigned)option_number(argc, argv, "threads", 8),
        .rounds = (unsigned)option_number(argc, argv, "rounds", 12),
        .live_bytes = (size_t)(option_number(argc, argv, "live-mib", 200) * 1048576),
        .verify = option_given(argc, argv, "verify"),
    };
    double start = now_s();
    phases_run(&phases);
    printf("done=1 seconds=%.3f\n", now_s() - start);
    return 0;
}
