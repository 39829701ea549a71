/*
 * The whole library at work in one program, under a sanitizer: stress SECONDS
 *
 * The sanitizer keeps malloc for itself, so the library's public names are own_NAME here (see run).
 * Threads allocate from it through all levels, while others set limits, read figures, add and
 * remove reclaimers, come and go, and fork. Prints calls=N purges=N, unless a sanitizer finds
 * something and ends it.
 */
#include <plimsoll.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void *own_malloc(size_t size);
void *own_calloc(size_t count, size_t size);
void *own_realloc(void *p, size_t size);
void own_free(void *p);

enum { SLOTS = 4096, WORKERS = 3, MIB = 1 << 20 };

/* A cache: each slot has one owner at a time. */
static _Atomic(void *) slots[SLOTS];
static atomic_uint calls;
static atomic_bool stop;

static size_t size_from(unsigned *seed)
{
    unsigned kind = (unsigned)rand_r(seed) % 100;
    return (size_t)rand_r(seed) % (kind < 90 ? 2000 : kind < 99 ? 100 * 1000 : 2 * MIB) + 1;
}

static void replace(unsigned *seed)
{
    size_t size = size_from(seed);
    char *p = (unsigned)rand_r(seed) % 4 == 0 ? own_calloc(1, size) : own_malloc(size);
    if (p != NULL && (unsigned)rand_r(seed) % 8 == 0) {
        char *moved = own_realloc(p, size = size_from(seed));
        p = moved != NULL ? moved : p;
    }
    if (p != NULL)
        p[0] = 1;
    own_free(atomic_exchange(&slots[(unsigned)rand_r(seed) % SLOTS], p));
}

static size_t drop(const struct plim_pressure *pressure, void *arg)
{
    (void)arg;
    size_t dropped = 0;
    for (size_t i = 0; i < SLOTS && dropped < pressure->target; i++) {
        void *p = atomic_exchange(&slots[i], NULL);
        dropped += p != NULL ? 1000 : 0;
        own_free(p);
    }
    atomic_fetch_add(&calls, 1);
    return dropped;
}

static void *work(void *arg)
{
    unsigned seed = (unsigned)(size_t)arg;
    for (unsigned i = 0; i < 20 * 1000 && !atomic_load(&stop); i++)
        replace(&seed);
    return NULL;
}

/* Threads that end and begin anew. */
static void *work_in_turns(void *arg)
{
    while (!atomic_load(&stop)) {
        pthread_t worker;
        if (pthread_create(&worker, NULL, work, arg) != 0)
            abort();
        pthread_join(worker, NULL);
    }
    return NULL;
}

static void look_on(unsigned turn)
{
    struct plim_stats stats = {.size = sizeof(stats)};
    struct plim_limits limits = {.size = sizeof(limits)};
    static const uint64_t above[] = {64, 16, 4, 1};
    if (plim_stats(&stats) != 0 || plim_limits(&limits) != 0 || plim_cpus() == 0)
        abort();
    (void)plim_set_limit(stats.usage + above[turn % 4] * MIB);
    int id = plim_reclaimer_add("second", drop, NULL, PLIM_CRITICAL);
    (void)plim_level();
    (void)plim_pressure_fd();
    (void)plim_reclaim(MIB);
    if (id >= 0 && plim_reclaimer_remove(id) != 0)
        abort();
}

/* A child that allocates a little and ends. */
static void have_a_child(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 1; i < 1000; i++)
            own_free(own_malloc(i * 40));
        _exit(plim_level() <= PLIM_CRITICAL ? 0 : 1);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        abort();
}

int main(int argc, char **argv)
{
    pthread_t threads[WORKERS];
    struct plim_stats stats = {.size = sizeof(stats)};
    time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
    int id = plim_reclaimer_add("first", drop, NULL, PLIM_MEDIUM);
    for (size_t i = 0; i < WORKERS; i++)
        if (id < 0 || pthread_create(&threads[i], NULL, work_in_turns, (void *)(i + 1)) != 0)
            abort();
    /* Runs long enough, and until there were both calls and purges. */
    for (unsigned turn = 0; time(NULL) < end || atomic_load(&calls) == 0 || stats.purges == 0;
         turn++) {
        look_on(turn);
        if (turn % 8 == 0)
            have_a_child();
        (void)plim_stats(&stats);
        (void)nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    (void)plim_reclaimer_remove(id);
    (void)plim_stats(&stats);
    printf("calls=%u purges=%llu\n", atomic_load(&calls), (unsigned long long)stats.purges);
    return 0;
}
