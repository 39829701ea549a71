/*
 * phases: threads that keep a fixed amount of memory live, in blocks of one size range, free all of
 * it and go on with the next range. What one phase frees is of little use to the next as it lies,
 * so the allocator has to give it back, or to merge it, to stay near the live amount.
 *
 *   phases [threads [live MiB [phases]]]        default: 8 200 12
 *
 * Every block is written in full and checked in full before it is freed. Sizes come from a fixed
 * seed: the requests are the same in every run, under every allocator.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MIN_SIZE = 256, RANGES = 12 }; /* 256-512 bytes, 512-1024 bytes, ... 512-1024 KiB */

struct block {
    struct block *next;
    size_t words; /* in data[] */
    uint64_t data[];
};

struct worker {
    pthread_t thread;
    uint64_t random; /* state of the generator, never 0 */
    size_t share;    /* bytes this thread keeps live */
    int phases;
    pthread_barrier_t *barrier;
};

static void die(const char *what)
{
    fprintf(stderr, "phases: %s\n", what);
    exit(1);
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct block *block_new(size_t size, struct block *next)
{
    struct block *block = malloc(size);

    if (!block)
        die("out of memory");
    block->next = next;
    block->words = (size - sizeof(*block)) / sizeof(block->data[0]);
    for (size_t i = 0; i < block->words; i++)
        block->data[i] = (uintptr_t)block + i;
    return block;
}

static struct block *fill(struct worker *worker, size_t smallest)
{
    struct block *head = NULL;

    for (size_t left = worker->share, size; left >= smallest; left -= size) {
        size = smallest + random_next(&worker->random) % 4 * (smallest / 4);
        size = size < left ? size : smallest;
        head = block_new(size, head);
    }
    return head;
}

static void check_and_free(struct block *block)
{
    while (block) {
        struct block *next = block->next;

        for (size_t i = 0; i < block->words; i++)
            if (block->data[i] != (uintptr_t)block + i)
                die("a block does not hold what was written");
        free(block);
        block = next;
    }
}

static void *work(void *arg)
{
    struct worker *worker = arg;

    for (int phase = 0; phase < worker->phases; phase++) {
        struct block *blocks = fill(worker, (size_t)MIN_SIZE << phase % RANGES);

        pthread_barrier_wait(worker->barrier); /* here all of it is live at once */
        check_and_free(blocks);
        pthread_barrier_wait(worker->barrier);
    }
    return NULL;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 8;
    int live_mib = argc > 2 ? atoi(argv[2]) : 200;
    int phases = argc > 3 ? atoi(argv[3]) : RANGES;

    if (threads < 1 || live_mib < 1 || phases < 1)
        die("usage: phases [threads [live MiB [phases]]]");

    struct worker workers[threads];
    pthread_barrier_t barrier;
    double start = now();

    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        workers[i] = (struct worker){.random = 88172645463325252u + (uint64_t)i,
                                     .phases = phases,
                                     .share = ((size_t)live_mib << 20) / (size_t)threads,
                                     .barrier = &barrier};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            die("cannot start a thread");
    }
    for (int i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    printf("%d phases of %d MiB in %d threads: %.2f s\n", phases, live_mib, threads, now() - start);
    return 0;
}
