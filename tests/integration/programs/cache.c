/*
 * A cache that only grows, at full speed, and gives way when it is asked to.
 *   cache [--threads 4] [--seconds 10] [--entry-bytes 4000] [--max-mib 0: no bound] [--rate-mib 0]
 *         [--sample-after-s 5] [--from-first-call] [--slow-ms 0, before every eviction]
 *         [--call-kib 0: at most this much a call] [--no-reclaimer]
 * The seconds count from the start, or from when the reclaimer was first called: by then the cache
 * is full, however slow the machine. Each thread adds entries to its own queue; one reclaimer drops
 * the oldest until it has freed the target. Once a second prints live_mib=N usage_mib=N level=N
 * calls=N again=N asked_mib=N freed_mib=N cpus=N; at the end min_mib and mean_mib of the live
 * bytes, sampled 100 times a second.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "workload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MAX = 64 };

static struct {
    struct block_queue queues[THREADS_MAX];
    unsigned threads;
    size_t entry_bytes;
    size_t max_bytes; /* of live data; 0: no bound */
    double rate;      /* bytes a second, of all threads; 0: full speed */
    double slow_s;
    size_t call_bytes; /* that a call frees at most */
    double start;      /* when filling began */
    _Atomic size_t live, added;
    _Atomic size_t calls, asked, freed; /* by the reclaimer */
    _Atomic size_t again;               /* of the calls: for what the one before had left missing */
    _Atomic int level;                  /* of the last call */
    _Atomic bool stop;
} cache;

/* The last call; there is one at a time. */
static struct {
    uint64_t target;
    size_t freed;
} last;

/* Less is asked for by what that call freed, which to the library may be more: size classes. */
static bool is_again(uint64_t target)
{
    return target < last.target && last.target - target <= 2 * last.freed;
}

static size_t evict(const struct plim_pressure *pressure, void *arg)
{
    (void)arg;
    atomic_fetch_add(&cache.calls, 1);
    atomic_fetch_add(&cache.again, is_again(pressure->target));
    atomic_fetch_add(&cache.asked, (size_t)pressure->target);
    atomic_store(&cache.level, (int)pressure->level);
    sleep_s(cache.slow_s);
    size_t freed = 0, enough = cache.call_bytes;
    unsigned empty = 0;
    if (pressure->target < enough)
        enough = (size_t)pressure->target;
    for (unsigned i = 0; freed < enough && empty < cache.threads; i++) {
        struct block *entry = block_queue_take(&cache.queues[i % cache.threads]);
        empty = entry ? 0 : empty + 1;
        if (entry) {
            freed += entry->size;
            free(entry);
        }
    }
    atomic_fetch_sub(&cache.live, freed);
    atomic_fetch_add(&cache.freed, freed);
    last.target = pressure->target;
    last.freed = freed;
    return freed;
}

static bool must_wait(void)
{
    if (cache.max_bytes && atomic_load(&cache.live) >= cache.max_bytes)
        return true;
    double added = (double)atomic_load(&cache.added);
    return cache.rate > 0 && added > cache.rate * (now_s() - cache.start);
}

static void *add_entries(void *arg)
{
    struct block_queue *queue = arg;
    while (!atomic_load(&cache.stop)) {
        if (must_wait()) {
            sleep_s(0.002);
            continue;
        }
        size_t held;
        struct block *entry = block_new(cache.entry_bytes, &held);
        if (!entry)
            continue;
        block_queue_add(queue, entry);
        atomic_fetch_add(&cache.live, entry->size);
        atomic_fetch_add(&cache.added, entry->size);
    }
    return NULL;
}

static double mib_of(size_t bytes)
{
    return (double)bytes / 1048576;
}

static void print_state(void)
{
    double usage = 0;
    if (plim_present()) {
        struct plim_stats stats = {.size = sizeof(stats)};
        if (plim_stats(&stats) == 0 && stats.usage != UINT64_MAX)
            usage = mib_of(stats.usage);
    }
    printf("live_mib=%.0f usage_mib=%.0f level=%d calls=%zu again=%zu asked_mib=%.0f "
           "freed_mib=%.0f cpus=%u\n",
           mib_of(atomic_load(&cache.live)), usage, atomic_load(&cache.level),
           atomic_load(&cache.calls), atomic_load(&cache.again), mib_of(atomic_load(&cache.asked)),
           mib_of(atomic_load(&cache.freed)), plim_present() ? plim_cpus() : 0);
}

/* Watches until the time, from `start` on, is up. */
static void sample(double start, double seconds, double after)
{
    double min = -1, sum = 0, next_line = 1;
    long count = 0;
    for (double at; (at = now_s() - start) < seconds; sleep_s(0.01)) {
        if (at >= next_line) {
            print_state();
            next_line += 1;
        }
        if (at < after)
            continue;
        double live = mib_of(atomic_load(&cache.live));
        min = min < 0 || live < min ? live : min;
        sum += live;
        count++;
    }
    print_state();
    printf("min_mib=%.1f mean_mib=%.1f samples=%ld\n", min, count ? sum / (double)count : -1,
           count);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    double seconds = option_number(argc, argv, "seconds", 10);
    double after = option_number(argc, argv, "sample-after-s", 5);
    cache.threads = (unsigned)option_number(argc, argv, "threads", 4);
    cache.entry_bytes = (size_t)option_number(argc, argv, "entry-bytes", 4000);
    cache.max_bytes = (size_t)(option_number(argc, argv, "max-mib", 0) * 1048576);
    cache.rate = option_number(argc, argv, "rate-mib", 0) * 1048576;
    cache.slow_s = option_number(argc, argv, "slow-ms", 0) / 1000;
    size_t call_kib = (size_t)option_number(argc, argv, "call-kib", 0);
    cache.call_bytes = call_kib ? call_kib * 1024 : SIZE_MAX;
    if (cache.threads < 1 || cache.threads > THREADS_MAX)
        die("1 to %d threads", THREADS_MAX);
    setlinebuf(stdout);
    int id = -1;
    if (!option_given(argc, argv, "no-reclaimer") && plim_present())
        id = plim_reclaimer_add("cache", evict, NULL, PLIM_MEDIUM);
    printf("present=%d id=%d\n", plim_present(), id);
    cache.start = now_s();
    for (unsigned i = 0; i < cache.threads; i++) {
        cache.queues[i] = (struct block_queue)BLOCK_QUEUE_INIT;
        if (pthread_create(&threads[i], NULL, add_entries, &cache.queues[i]) != 0)
            die("cannot start a thread");
    }
    while (option_given(argc, argv, "from-first-call") && atomic_load(&cache.calls) == 0)
        sleep_s(0.01);
    sample(now_s(), seconds, after);
    atomic_store(&cache.stop, true);
    for (unsigned i = 0; i < cache.threads; i++)
        pthread_join(threads[i], NULL);
    if (id >= 0)
        printf("removed=%d\n", plim_reclaimer_remove(id));
    printf("done=1\n");
    return 0;
}
