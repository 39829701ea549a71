/*
 * Threads that each take a large buffer, use it and free it, over and over.
 *   buffers [--threads 16] [--mib 8] [--live-mib 50] [--seconds 2]
 * Beside them --live-mib stay in use. There need not be room for the buffers of all threads. Prints
 * served=N, the buffers in all, and faults=N, the page faults that did not need a disk.
 */
#include "workload.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { THREADS_MAX = 64, USES = 3 };

static size_t buffer_bytes;
static double until_s;
static _Atomic size_t served;

static void use(unsigned char *buffer)
{
    memset(buffer, 1, buffer_bytes);
    for (int i = 0; i < USES; i++)
        for (size_t at = 0; at < buffer_bytes; at += 64)
            buffer[at] = (unsigned char)(buffer[at] + 1);
    if (buffer[0] != 1 + USES)
        die("a buffer was changed by others");
}

static void *take_buffers(void *arg)
{
    (void)arg;
    while (now_s() < until_s) {
        unsigned char *buffer = malloc(buffer_bytes);
        if (buffer == NULL)
            die("refused");
        use(buffer);
        free(buffer);
        atomic_fetch_add(&served, 1);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t ids[THREADS_MAX];
    unsigned threads = (unsigned)option_number(argc, argv, "threads", 16);
    buffer_bytes = (size_t)(option_number(argc, argv, "mib", 8) * 1048576);
    size_t live_bytes = (size_t)(option_number(argc, argv, "live-mib", 50) * 1048576);
    if (threads > THREADS_MAX)
        die("at most %d threads", THREADS_MAX);
    (void)block_must_have(live_bytes);
    until_s = now_s() + option_number(argc, argv, "seconds", 2);
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, take_buffers, NULL) != 0)
            die("no thread");
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        die("no figures");
    printf("served=%zu faults=%ld\n", atomic_load(&served), usage.ru_minflt);
    return 0;
}
