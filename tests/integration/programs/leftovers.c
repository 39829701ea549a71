/*
 * Fills memory with blocks of one size, frees all but one in twenty, and goes on to the next size:
 * what stays holds on to the slabs of all sizes.
 *   leftovers [--mib 64, of each size] [--threads 1] [--refill-mib 0] [--cache-mib 0]
 * Then, with --refill-mib, allocates that much of the first size again, for which there is room in
 * the slabs that are left. With --cache-mib, adds that much to a cache, in blocks of all these
 * sizes in turn, which fill the holes again; a reclaimer drops the oldest when asked to. Prints
 * filled=N for each size, cached=1 and calls=N (the reclaimer's) after the cache, done=1 at the
 * end. Exits 1 where a block was damaged or refused.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "workload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Those of jemalloc's sizes that have the most blocks in a slab of several pages. */
static const size_t sizes[] = {640, 896, 1280, 1792, 2560};

enum { SIZES = sizeof(sizes) / sizeof(*sizes), KEPT_ONE_IN = 20, THREADS_MAX = 16 };

static size_t fill_bytes, refill_bytes, cache_bytes; /* of each thread */

static void make_in(struct block **list, size_t size)
{
    struct block *block = block_must_have(size);
    block->next = *list;
    *list = block;
}

/* Leaves every twentieth block in `kept`. */
static void fill_and_thin_out(struct block **kept, size_t size)
{
    struct block *gone = NULL;
    for (size_t i = 0; i < fill_bytes / size; i++)
        make_in(i % KEPT_ONE_IN == 0 ? kept : &gone, size);
    blocks_free(gone, true);
}

static void refill(struct block **kept)
{
    for (size_t filled = 0; filled < refill_bytes; filled += sizes[0])
        make_in(kept, sizes[0]);
}

/* --- the cache --- */

static struct block_queue cache = BLOCK_QUEUE_INIT;
static _Atomic int calls;

static size_t evict(const struct plim_pressure *pressure, void *arg)
{
    (void)arg;
    atomic_fetch_add(&calls, 1);
    return block_queue_drop(&cache, pressure->target, true);
}

static void fill_cache(void)
{
    for (size_t added = 0, i = 0; added < cache_bytes; i++) {
        struct block *block = block_must_have(sizes[i % SIZES]);
        added += block->size;
        block_queue_add(&cache, block);
    }
    printf("cached=1 calls=%d\n", atomic_load(&calls));
}

/* A thread does all of it: another thread's slabs may be elsewhere. */
static void *work(void *arg)
{
    struct block **kept = arg;
    for (size_t i = 0; i < SIZES; i++) {
        fill_and_thin_out(kept, sizes[i]);
        printf("filled=%zu\n", sizes[i]);
    }
    refill(kept);
    if (cache_bytes > 0)
        fill_cache();
    return NULL;
}

/* Each thread's share of an option's MiB, in bytes. */
static size_t bytes_option(int argc, char **argv, const char *name, double mib, unsigned threads)
{
    return (size_t)(option_number(argc, argv, name, mib) * 1048576) / threads;
}

int main(int argc, char **argv)
{
    static struct block *kept[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    unsigned n = (unsigned)option_number(argc, argv, "threads", 1);
    if (n < 1 || n > THREADS_MAX)
        die("1 to %d threads", THREADS_MAX);
    setlinebuf(stdout);
    fill_bytes = bytes_option(argc, argv, "mib", 64, n);
    refill_bytes = bytes_option(argc, argv, "refill-mib", 0, n);
    cache_bytes = bytes_option(argc, argv, "cache-mib", 0, n);
    if (cache_bytes > 0 &&
        (!plim_present() || plim_reclaimer_add("leftovers", evict, NULL, PLIM_MEDIUM) < 0))
        die("needs the library");
    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, work, &kept[i]) != 0)
            die("no thread");
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < n; i++)
        blocks_free(kept[i], true);
    printf("done=1\n");
    return 0;
}
