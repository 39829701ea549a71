/* See workload.h. */
#include "workload.h"

#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS_MAX = 64 };

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

double option_number(int argc, char **argv, const char *name, double fallback)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0 || strcmp(argv[i] + 2, name) != 0)
            continue;
        char *end = NULL;
        double value = i + 1 < argc ? strtod(argv[i + 1], &end) : 0;
        if (!end || end == argv[i + 1] || *end)
            die("--%s takes a number", name);
        return value;
    }
    return fallback;
}

bool option_given(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0)
            return true;
    }
    return false;
}

double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void sleep_s(double seconds)
{
    struct timespec ts = {.tv_sec = (time_t)seconds,
                          .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&ts, NULL);
}

/* --- blocks --- */

static unsigned char block_fill(const struct block *block)
{
    return (unsigned char)(((uintptr_t)block >> 4) * 31 + block->size);
}

size_t own_memory(enum own_memory field)
{
    unsigned long pages[OWN_RESIDENT + 1];
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%lu %lu", &pages[OWN_ADDRESSES], &pages[OWN_RESIDENT]) != 2)
        die("cannot read /proc/self/statm");
    fclose(file);
    return pages[field] * 4096;
}

void scenario_run(const struct scenario *scenarios, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (name == NULL || strcmp(name, scenarios[i].name) != 0)
            continue;
        scenarios[i].run();
        printf("ok=1\n");
        return;
    }
    die("no such scenario");
}

struct block *block_new(size_t size, size_t *ret_held)
{
    struct block *block = malloc(size);
    if (!block)
        return NULL;
    *ret_held = malloc_usable_size(block);
    block->size = size;
    memset(block->data, block_fill(block), size - sizeof(*block));
    return block;
}

struct block *block_must_have(size_t size)
{
    size_t held;
    struct block *block = block_new(size, &held);
    if (!block)
        die("malloc failed");
    return block;
}

bool block_is_intact(const struct block *block)
{
    size_t len = block->size - sizeof(*block);
    unsigned char fill = block_fill(block);
    /* All bytes equal the first, and the first is right. */
    return len == 0 ||
           (block->data[0] == fill && memcmp(block->data, block->data + 1, len - 1) == 0);
}

void block_free(struct block *block, bool verify)
{
    if (verify && !block_is_intact(block))
        die("damaged block of %zu bytes", block->size);
    free(block);
}

void block_queue_add(struct block_queue *queue, struct block *block)
{
    block->next = NULL;
    pthread_mutex_lock(&queue->lock);
    if (queue->newest)
        queue->newest->next = block;
    else
        queue->oldest = block;
    queue->newest = block;
    pthread_mutex_unlock(&queue->lock);
}

struct block *block_queue_take(struct block_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct block *block = queue->oldest;
    if (block && !(queue->oldest = block->next))
        queue->newest = NULL;
    pthread_mutex_unlock(&queue->lock);
    return block;
}

size_t block_queue_drop(struct block_queue *queue, size_t bytes, bool verify)
{
    size_t freed = 0;
    struct block *block;
    while (freed < bytes && (block = block_queue_take(queue)) != NULL) {
        freed += block->size;
        block_free(block, verify);
    }
    return freed;
}

/* --- phases --- */

/* Ranges of sizes that take their pages from different size classes, so that what one round leaves
 * free is of little use to the next. */
static const struct {
    size_t from, to;
} ranges[] = {
    {24, 96},   {2048, 3800},  {160, 400},   {17000, 28000},   {5000, 8000},   {40000, 90000},
    {500, 900}, {9000, 14000}, {1024, 1800}, {100000, 250000}, {30000, 38000}, {96, 160},
};

struct phase_thread {
    const struct phases *phases;
    pthread_barrier_t *together;
    unsigned number;
    pthread_t thread;
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

struct block *blocks_fill(size_t bytes, size_t from, size_t to, uint64_t *random)
{
    struct block *set = NULL;
    for (size_t held = 0, got; held + to <= bytes; held += got) {
        struct block *block = block_new(from + next_random(random) % (to - from), &got);
        if (!block)
            die("malloc failed");
        block->next = set;
        set = block;
    }
    return set;
}

void blocks_free(struct block *set, bool verify)
{
    for (struct block *next; set; set = next) {
        next = set->next;
        block_free(set, verify);
    }
}

/* Load moves from the even threads to the odd ones and back, as it does in servers; the sum stays.
 */
static size_t share_of(const struct phases *phases, unsigned number, unsigned round)
{
    size_t pair = phases->live_bytes / phases->threads * 2;
    size_t small = pair / 10;
    if (phases->threads % 2)
        return pair / 2;
    return (number + round) % 2 ? small : pair - small;
}

static void *phase_thread(void *arg)
{
    const struct phase_thread *self = arg;
    const struct phases *phases = self->phases;
    uint64_t random = self->number + 1;
    struct block *results = NULL; /* small blocks, one a round, kept to the end */
    for (unsigned round = 0; round < phases->rounds; round++) {
        size_t range = round % (sizeof(ranges) / sizeof(ranges[0])), got;
        struct block *set = blocks_fill(share_of(phases, self->number, round), ranges[range].from,
                                        ranges[range].to, &random);
        struct block *result = block_new(64, &got);
        if (!result)
            die("malloc failed");
        result->next = results;
        results = result;
        pthread_barrier_wait(self->together); /* all threads' blocks are live at once */
        blocks_free(set, phases->verify);
        pthread_barrier_wait(self->together);
    }
    blocks_free(results, phases->verify);
    return NULL;
}

void phases_run(const struct phases *phases)
{
    struct phase_thread threads[THREADS_MAX];
    if (phases->threads < 1 || phases->threads > THREADS_MAX)
        die("1 to %d threads", THREADS_MAX);
    pthread_barrier_t together;
    pthread_barrier_init(&together, NULL, phases->threads);
    for (unsigned i = 0; i < phases->threads; i++) {
        threads[i] = (struct phase_thread){.phases = phases, .together = &together, .number = i};
        if (pthread_create(&threads[i].thread, NULL, phase_thread, &threads[i]) != 0)
            die("cannot start a thread");
    }
    for (unsigned i = 0; i < phases->threads; i++)
        pthread_join(threads[i].thread, NULL);
}
