/*
 * Threads that take large blocks over and over and hardly touch them.
 *   sparse [--threads 4] [--mib 4] [--touch-kib 16] [--live-mib 70] [--rounds 200] [--one-lock]
 *          [--cache] [--keep] [--borrowers 0]
 * Beside them --live-mib stay in use; --cache: as a cache that a reclaimer empties. --one-lock: all
 * threads take and free blocks under the same lock, as in an interpreter that has one. A block is
 * kept for a millisecond, or, with --keep, for ever. --borrowers: meanwhile so many children of
 * vfork take one as well, each after its parent. Prints served=N refused=N, of the threads' blocks;
 * calls=N, of the reclaimer; waited_ms=N, of all threads, at the limit; opened=N, descriptors; and
 * ok=1 at the end. Needs the library.
 */
#include "stats_now.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS_MAX = 64, CACHED_BYTES = 16384 };

static size_t block_bytes, touched_bytes;
static unsigned rounds;
static bool one_lock, keep;
static pthread_mutex_t interpreter = PTHREAD_MUTEX_INITIALIZER;
static struct block_queue cache = BLOCK_QUEUE_INIT;
static _Atomic unsigned served, refused, calls;

static size_t shrink(const struct plim_pressure *pressure, void *arg)
{
    (void)arg;
    atomic_fetch_add(&calls, 1);
    return block_queue_drop(&cache, pressure->target, false);
}

static void lock(void)
{
    if (one_lock)
        pthread_mutex_lock(&interpreter);
}

static void unlock(void)
{
    if (one_lock)
        pthread_mutex_unlock(&interpreter);
}

static void *take_blocks(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < rounds; i++) {
        lock();
        char *block = malloc(block_bytes);
        unlock();
        atomic_fetch_add(block ? &served : &refused, 1);
        if (block)
            memset(block, 1, touched_bytes);
        sleep_s(0.001);
        lock();
        if (!keep)
            free(block);
        unlock();
    }
    return NULL;
}

static void take_one(void)
{
    char *volatile block = malloc(block_bytes);
    if (block)
        memset(block, 1, touched_bytes);
    free(block);
}

/* In a function of its own, so that parent and child do not both write to the caller's
 * variables. */
static __attribute__((noinline)) void lend(void)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    pid_t pid = vfork();
#pragma GCC diagnostic pop
    if (pid == 0) {
        take_one();
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) != pid)
        die("no child");
}

static int descriptors(void)
{
    int count = 0;
    DIR *open_ones = opendir("/proc/self/fd");
    while (open_ones && readdir(open_ones))
        count++;
    if (open_ones)
        closedir(open_ones);
    return count;
}

static void fill_cache(size_t bytes)
{
    for (size_t held = 0; held < bytes; held += CACHED_BYTES)
        block_queue_add(&cache, block_must_have(CACHED_BYTES));
}

int main(int argc, char **argv)
{
    pthread_t ids[THREADS_MAX];
    unsigned threads = (unsigned)option_number(argc, argv, "threads", 4);
    block_bytes = (size_t)(option_number(argc, argv, "mib", 4) * 1048576);
    touched_bytes = (size_t)(option_number(argc, argv, "touch-kib", 16) * 1024);
    unsigned borrowers = (unsigned)option_number(argc, argv, "borrowers", 0);
    rounds = (unsigned)option_number(argc, argv, "rounds", 200);
    one_lock = option_given(argc, argv, "one-lock");
    keep = option_given(argc, argv, "keep");
    if (threads > THREADS_MAX || touched_bytes > block_bytes)
        die("too many");
    if (option_given(argc, argv, "cache") && plim_reclaimer_add("cache", shrink, NULL, 0) < 0)
        die("cannot add a reclaimer");
    fill_cache((size_t)(option_number(argc, argv, "live-mib", 70) * 1048576));
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, take_blocks, NULL) != 0)
            die("no thread");
    take_one();
    int before = descriptors();
    for (unsigned i = 0; i < borrowers; i++) {
        take_one();
        lend();
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    printf("served=%u refused=%u calls=%u waited_ms=%.0f opened=%d ok=1\n", served, refused, calls,
           (double)stats_now().throttle_ns / 1e6, descriptors() - before);
    return 0;
}
