/*
 * A cache that grows at a given rate and drops its oldest entries when it is asked to.
 *   callbacks [--threads 1] [--rate-mib 256 a second] [--entry-bytes 4000] [--seconds 10]
 *             [--crossings 0]
 * With --crossings N the cache drops half of what it holds after it was first asked, rests until
 * the kernel has those pages back, and grows again, N times. Otherwise it grows on for --seconds
 * after it was first asked.
 * Prints "call BEGIN END USAGE SOFT TARGET FREED" for each time it was asked (ns, bytes), "live MIN
 * MEAN" in bytes, sampled a thousand times a second from the first call on, and "added BYTES".
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "clock.h"
#include "workload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALLS_MAX = 100000, THREADS_MAX = 64 };

struct call {
    uint64_t begin, end, usage, soft, target, freed;
};

static struct {
    unsigned threads;
    size_t entry_bytes;
    double rate; /* bytes a second of one thread */
    struct block_queue queue;
    _Atomic size_t live, added;
    atomic_bool rest, stop;
    _Atomic unsigned calls;
    struct call call[CALLS_MAX]; /* written by the reclaimer, read once that is removed */
} cache = {.queue = BLOCK_QUEUE_INIT};

static void push(struct block *entry, size_t held)
{
    entry->size = held; /* what dropping it will give */
    block_queue_add(&cache.queue, entry);
    atomic_fetch_add(&cache.live, held);
    atomic_fetch_add(&cache.added, held);
}

static size_t drop(size_t bytes)
{
    size_t freed = 0;
    struct block *entry;
    while (freed < bytes && (entry = block_queue_take(&cache.queue)) != NULL) {
        freed += entry->size;
        free(entry);
    }
    atomic_fetch_sub(&cache.live, freed);
    return freed;
}

static size_t reclaim(const struct plim_pressure *p, void *arg)
{
    (void)arg;
    uint64_t begin = now_ns();
    size_t freed = drop((size_t)p->target);
    unsigned n = atomic_load(&cache.calls);
    if (n < CALLS_MAX) {
        cache.call[n] = (struct call){begin, now_ns(), p->usage, p->soft_limit, p->target, freed};
        atomic_store(&cache.calls, n + 1);
    }
    return freed;
}

static void *grow(void *arg)
{
    uint64_t start = now_ns();
    size_t held, grown = 0;
    (void)arg;
    while (!atomic_load(&cache.stop)) {
        uint64_t now = now_ns(), due = start + (uint64_t)((double)grown / cache.rate * 1e9);
        if (atomic_load(&cache.rest) || due > now + 1000000) {
            sleep_s(0.001);
            continue;
        }
        if (now > due + 5000000) /* too late: the time lost is not made up for */
            start += now - due;
        struct block *entry = block_new(cache.entry_bytes, &held);
        if (!entry)
            die("malloc failed");
        push(entry, held);
        grown += held;
    }
    return NULL;
}

/* Has the cache asked for the first time after a rest, over and over. */
static void cross(unsigned crossings)
{
    for (unsigned i = 0; i < crossings; i++) {
        unsigned before = atomic_load(&cache.calls);
        while (atomic_load(&cache.calls) == before)
            sleep_s(0.001);
        atomic_store(&cache.rest, true);
        drop(atomic_load(&cache.live) / 2);
        sleep_s(0.8);
        atomic_store(&cache.rest, false);
    }
}

static void watch(double seconds)
{
    size_t least = SIZE_MAX;
    double sum = 0, count = 0;
    while (atomic_load(&cache.calls) == 0)
        sleep_s(0.001);
    for (double end = now_s() + seconds; now_s() < end; sleep_s(0.001)) {
        size_t live = atomic_load(&cache.live);
        least = live < least ? live : least;
        sum += (double)live;
        count++;
    }
    printf("live %zu %.0f\n", least, sum / count);
}

static void print_calls(void)
{
    for (unsigned i = 0, n = atomic_load(&cache.calls); i < n; i++) {
        const struct call *c = &cache.call[i];
        printf("call %llu %llu %llu %llu %llu %llu\n", (unsigned long long)c->begin,
               (unsigned long long)c->end, (unsigned long long)c->usage,
               (unsigned long long)c->soft, (unsigned long long)c->target,
               (unsigned long long)c->freed);
    }
    printf("added %zu\n", atomic_load(&cache.added));
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    double seconds = option_number(argc, argv, "seconds", 10);
    unsigned crossings = (unsigned)option_number(argc, argv, "crossings", 0);
    cache.threads = (unsigned)option_number(argc, argv, "threads", 1);
    cache.entry_bytes = (size_t)option_number(argc, argv, "entry-bytes", 4000);
    if (cache.threads < 1 || cache.threads > THREADS_MAX)
        die("1 to %d threads", THREADS_MAX);
    cache.rate = option_number(argc, argv, "rate-mib", 256) * 1048576 / cache.threads;
    int id = plim_present() ? plim_reclaimer_add("cache", reclaim, NULL, PLIM_MEDIUM) : -1;
    if (id < 0)
        die("no reclaimer can be added: %d", id);
    for (unsigned i = 0; i < cache.threads; i++) {
        if (pthread_create(&threads[i], NULL, grow, NULL) != 0)
            die("cannot start a thread");
    }
    if (crossings > 0)
        cross(crossings);
    else
        watch(seconds);
    atomic_store(&cache.stop, true);
    for (unsigned i = 0; i < cache.threads; i++)
        pthread_join(threads[i], NULL);
    (void)plim_reclaimer_remove(id);
    print_calls();
    return 0;
}
