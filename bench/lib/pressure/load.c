/*
 * Memory that grows at a given rate, with enough free pages beside it to make room for it.
 *   load [--threads 1] [--set-mib 500] [--rate-mib 1024 a second; 0: full speed] [--seconds 10]
 *        [--turns 0: at least this many] [--stats-ms 50] [--probe]
 * Two groups of --threads threads take turns. One frees its set of blocks, which leaves free pages
 * in that group's arenas; then the other, in arenas of its own, grows from nothing to a full set.
 * Live memory never exceeds one set; without purging two would be held.
 * Prints "limits HARD SOFT" (bytes, as Plimsoll has them); "stat" lines: time, usage, committed and
 * active bytes, CPU time of reclaiming and of the process, bytes purged, purges, looks, time that
 * threads were made to wait (ns, bytes; zeros without Plimsoll); then "grown BYTES NS" over all
 * turns, and with --probe what the probe saw (probe.h).
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "clock.h"
#include "probe.h"
#include "workload.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MAX = 64 };

struct grower {
    pthread_t thread;
    unsigned number; /* even and odd ones are the two groups */
    uint64_t random;
    struct block *set, *left; /* blocks left over from the set before */
    uint64_t grown, growing_ns;
};

static struct {
    unsigned threads; /* in a group */
    size_t share;     /* bytes of a set that one thread holds */
    double rate;      /* bytes a second of one thread; 0: full speed */
    uint64_t end_ns;
    unsigned turns; /* at least */
    pthread_barrier_t together;
    sem_t started;
    atomic_bool stop, done;
    struct grower growers[2 * THREADS_MAX];
} load;

static size_t next_size(struct grower *self)
{
    self->random = self->random * 6364136223846793005u + 1442695040888963407u;
    uint64_t r = self->random >> 33;
    size_t most = (size_t)512 << r % 8; /* up to 64 KiB, all doublings equally likely */
    return most / 2 + (size_t)(r >> 3) % (most / 2);
}

static void free_all(struct block *set)
{
    for (struct block *next; set; set = next) {
        next = set->next;
        free(set);
    }
}

/* One block in 200 stays until the next set goes, so that what becomes free is in many pieces. */
static void free_set(struct grower *self)
{
    struct block *left = NULL, *next;
    free_all(self->left);
    for (unsigned i = 0; self->set; self->set = next, i++) {
        next = self->set->next;
        if (i % 200 == 0) {
            self->set->next = left;
            left = self->set;
        } else {
            free(self->set);
        }
    }
    self->left = left;
}

/* Sleeps while the set is ahead of its rate. A set that is late does not catch up. */
static void pace(uint64_t *start, size_t held)
{
    if (load.rate <= 0)
        return;
    uint64_t now = now_ns(), due = *start + (uint64_t)((double)held / load.rate * 1e9);
    if (due > now + 500000)
        sleep_s((double)(due - now) / 1e9);
    else if (now > due + 5000000)
        *start += now - due;
}

static void grow_set(struct grower *self)
{
    uint64_t begin = now_ns(), start = begin;
    for (size_t held = 0, got; held < load.share; held += got) {
        struct block *block = block_new(next_size(self), &got);
        if (!block)
            die("malloc failed");
        block->next = self->set;
        self->set = block;
        self->grown += got;
        pace(&start, held);
    }
    self->growing_ns += now_ns() - begin;
}

static void *grower_main(void *arg)
{
    struct grower *self = arg;
    size_t held;
    self->set = block_new(64, &held); /* gives the thread its arena */
    sem_post(&load.started);
    for (unsigned turn = 0; !atomic_load(&load.stop); turn++) {
        bool grows = (self->number + turn) % 2 == 0;
        if (!grows)
            free_set(self);
        pthread_barrier_wait(&load.together);
        if (grows)
            grow_set(self);
        if (pthread_barrier_wait(&load.together) == PTHREAD_BARRIER_SERIAL_THREAD &&
            turn + 1 >= load.turns && now_ns() >= load.end_ns)
            atomic_store(&load.stop, true);
        pthread_barrier_wait(&load.together);
    }
    free_all(self->set);
    free_all(self->left);
    return NULL;
}

static void print_stats(void)
{
    struct plim_stats s = {.size = sizeof(s)};
    if (!plim_present() || plim_stats(&s) != 0)
        s = (struct plim_stats){0};
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    const uint64_t values[] = {
        now_ns(),       s.usage,          s.committed,
        s.active,       s.reclaim_cpu_ns, (uint64_t)cpu.tv_sec * second_ns + (uint64_t)cpu.tv_nsec,
        s.purged_bytes, s.purges,         s.looks,
        s.throttle_ns};
    printf("stat");
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        printf(" %llu", (unsigned long long)values[i]);
    printf("\n");
}

static void print_limits(void)
{
    struct plim_limits l = {.size = sizeof(l)};
    if (plim_present() && plim_limits(&l) == 0)
        printf("limits %llu %llu\n", (unsigned long long)l.hard, (unsigned long long)l.soft);
}

static void *report(void *arg)
{
    double every = *(double *)arg;
    print_limits();
    while (!atomic_load(&load.done)) {
        print_stats();
        sleep_s(every);
    }
    print_stats();
    return NULL;
}

static void run(bool with_probe)
{
    unsigned all = 2 * load.threads;
    pthread_barrier_init(&load.together, NULL, all);
    sem_init(&load.started, 0, 0);
    for (unsigned i = 0; i < all; i++) {
        struct grower *grower = &load.growers[i];
        *grower = (struct grower){.number = i, .random = i};
        if (pthread_create(&grower->thread, NULL, grower_main, grower) != 0)
            die("cannot start a thread");
        sem_wait(&load.started); /* one by one, so that the groups' arenas differ */
    }
    if (with_probe)
        probe_start();
    for (unsigned i = 0; i < all; i++)
        pthread_join(load.growers[i].thread, NULL);
    if (with_probe)
        probe_stop();
}

static void print_growth(void)
{
    uint64_t bytes = 0, ns = 0;
    for (unsigned i = 0; i < 2 * load.threads; i++) {
        bytes += load.growers[i].grown;
        ns += load.growers[i].growing_ns;
    }
    printf("grown %llu %llu\n", (unsigned long long)bytes, (unsigned long long)(ns / load.threads));
}

int main(int argc, char **argv)
{
    static char buffer[1 << 20]; /* so that printing allocates nothing */
    pthread_t reporter;
    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    load.threads = (unsigned)option_number(argc, argv, "threads", 1);
    if (load.threads < 1 || load.threads > THREADS_MAX)
        die("1 to %d threads", THREADS_MAX);
    load.share = (size_t)(option_number(argc, argv, "set-mib", 500) * 1048576 / load.threads);
    load.rate = option_number(argc, argv, "rate-mib", 1024) * 1048576 / load.threads;
    load.turns = (unsigned)option_number(argc, argv, "turns", 0);
    double every = option_number(argc, argv, "stats-ms", 50) / 1000;
    bool with_probe = option_given(argc, argv, "probe");
    load.end_ns = now_ns() + (uint64_t)(option_number(argc, argv, "seconds", 10) * 1e9);
    if (pthread_create(&reporter, NULL, report, &every) != 0)
        die("cannot start a thread");
    run(with_probe);
    atomic_store(&load.done, true);
    pthread_join(reporter, NULL);
    print_growth();
    if (with_probe)
        probe_print();
    return 0;
}
