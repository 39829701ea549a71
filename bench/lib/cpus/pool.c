/*
 * A server's pool of worker threads, without the network: requests wait for a free worker, first
 * come, first served, and each takes the same computing.
 *   pool --threads N --spins N --seconds N [--rate N]
 *     --threads  workers, 16 at most; 0: as many as sysconf(_SC_NPROCESSORS_ONLN) says
 *     --spins    rounds of computing in a request, see --calibrate
 *     --rate     requests a second, at random times; 0: from 16 clients, each of which asks again
 *                as soon as it has its answer
 *   pool --calibrate
 * Prints threads=N done=N seconds=N, and p50_us, p99_us, max_us: from a request's arrival to its
 * end. --calibrate: prints how many rounds take a millisecond of CPU time.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BODY = 16 * 1024, ENTRIES = 1024, CLIENTS = 16, SECOND = 1000000000 };

static struct {
    double rate, seconds;
    long spins, threads;
    uint64_t start, end, count, *arrivals, *took;
    _Atomic uint64_t next, done, ended;
    pthread_mutex_t lock;
    uint64_t waiting[CLIENTS], taken, asked; /* when the clients' requests came, under the lock */
    char *entries[ENTRIES];                  /* what requests leave behind, under the lock */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
        ;
}

static uint64_t compute(const char *body, long spins)
{
    uint64_t hash = 1;
    for (long spin = 0; spin < spins; spin++)
        for (size_t i = 0; i < BODY; i += 8) {
            uint64_t word;
            memcpy(&word, body + i, 8);
            hash = (hash ^ word) * 1099511628211u + (hash >> 29);
        }
    return hash;
}

/* Parse, compute, put the answer where other requests look. */
static void serve(uint64_t number)
{
    char *body = malloc(BODY), *answer = malloc(256);
    if (body == NULL || answer == NULL)
        abort();
    memset(body, (int)number, BODY);
    snprintf(answer, 256, "%llu", (unsigned long long)compute(body, pool.spins));
    pthread_mutex_lock(&pool.lock);
    char *old = pool.entries[number % ENTRIES];
    pool.entries[number % ENTRIES] = answer;
    pthread_mutex_unlock(&pool.lock);
    free(old);
    free(body);
}

/* Waits for the next request. False: there are no more. */
static bool take(uint64_t *number, uint64_t *arrival)
{
    *number = atomic_fetch_add(&pool.next, 1);
    if (*number >= pool.count)
        return false;
    if (pool.rate > 0) {
        *arrival = pool.arrivals[*number];
        return true;
    }
    pthread_mutex_lock(&pool.lock);
    *arrival = pool.waiting[pool.taken++ % CLIENTS];
    pthread_mutex_unlock(&pool.lock);
    return *arrival < pool.end;
}

/* The request's client, if it has one, asks again. */
static void finish(uint64_t arrival)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    pool.took[atomic_fetch_add(&pool.done, 1)] = now - arrival;
    atomic_store(&pool.ended, now);
    pthread_mutex_lock(&pool.lock);
    pool.waiting[pool.asked++ % CLIENTS] = now;
    pthread_mutex_unlock(&pool.lock);
}

static void *work(void *arg)
{
    uint64_t number, arrival;
    while (take(&number, &arrival)) {
        sleep_until(arrival);
        serve(number);
        finish(arrival);
    }
    return arg;
}

/* Random times, the same in every run. */
static void schedule(void)
{
    unsigned short state[3] = {1, 2, 3};
    double at = 0;
    pool.count = (uint64_t)(pool.rate > 0 ? pool.rate * pool.seconds : 1e6);
    pool.arrivals = calloc(pool.count, sizeof(uint64_t));
    pool.took = calloc(pool.count, sizeof(uint64_t));
    if (pool.arrivals == NULL || pool.took == NULL)
        abort();
    pool.start = clock_ns(CLOCK_MONOTONIC);
    pool.end = pool.start + (uint64_t)(pool.seconds * SECOND);
    for (int i = 0; i < CLIENTS; i++)
        pool.waiting[i] = pool.start;
    for (uint64_t i = 0; pool.rate > 0 && i < pool.count; i++) {
        at += -log(1 - erand48(state)) / pool.rate;
        pool.arrivals[i] = pool.start + (uint64_t)(at * SECOND);
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void calibrate(void)
{
    enum { SPINS = 20000 };
    static char body[BODY];
    uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    volatile uint64_t sink = compute(body, SPINS);
    (void)sink;
    printf("%.0f\n", SPINS * 1e6 / (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start));
}

static double option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return atof(argv[i + 1]);
    fprintf(stderr, "pool: %s is missing\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--calibrate") == 0) {
        calibrate();
        return 0;
    }
    pool.threads = (long)option(argc, argv, "--threads");
    pool.spins = (long)option(argc, argv, "--spins");
    pool.seconds = option(argc, argv, "--seconds");
    pool.rate = option(argc, argv, "--rate");
    if (pool.threads == 0)
        pool.threads = sysconf(_SC_NPROCESSORS_ONLN);
    if (pool.threads < 1 || pool.threads > CLIENTS)
        pool.threads = CLIENTS;
    pthread_t threads[CLIENTS];
    schedule();
    for (long i = 0; i < pool.threads; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            abort();
    for (long i = 0; i < pool.threads; i++)
        pthread_join(threads[i], NULL);
    qsort(pool.took, pool.done, sizeof(uint64_t), by_size);
    printf("threads=%ld\ndone=%llu\nseconds=%g\n", pool.threads, (unsigned long long)pool.done,
           (double)(pool.ended - pool.start) / SECOND);
    printf("p50_us=%llu\np99_us=%llu\nmax_us=%llu\n",
           (unsigned long long)pool.took[pool.done / 2] / 1000,
           (unsigned long long)pool.took[pool.done * 99 / 100] / 1000,
           (unsigned long long)pool.took[pool.done - 1] / 1000);
    return 0;
}
