/* See probe.h. */
#include "probe.h"

#include "clock.h"
#include "histogram.h"
#include "workload.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RING = 2000 };
/* For pieces this long it is worth asking the kernel whether the thread had a CPU. */
static const uint64_t suspicious_ns = 50000;

static struct {
    pthread_t thread;
    atomic_bool stop;
    int schedstat;   /* the thread's own file in /proc */
    uint64_t no_cpu; /* as last read from it: ns ready to run without running */
    uint64_t last;   /* end of the previous piece */
    uint64_t random;
    struct histogram malloc, malloc_own, free, free_own, nothing, nothing_own;
    void *ring[RING];
} probe = {.random = 88172645463325252u};

/* Nanoseconds without a CPU since the last call; 0 where the kernel does not tell. */
static uint64_t without_cpu(void)
{
    char text[100], *at;
    ssize_t got = pread(probe.schedstat, text, sizeof(text) - 1, 0);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    (void)strtoull(text, &at, 10); /* the first number is time on a CPU */
    uint64_t total = strtoull(at, NULL, 10), before = probe.no_cpu;
    probe.no_cpu = total;
    return total - before;
}

/* Ends the piece that began where the previous one ended, and returns its length. */
static uint64_t lap(uint64_t *ret_own)
{
    uint64_t now = now_ns(), length = now - probe.last;
    *ret_own = length;
    if (length >= suspicious_ns) {
        uint64_t waited = without_cpu();
        *ret_own = waited < length ? length - waited : 0;
        now = now_ns();
    }
    probe.last = now;
    return length;
}

static void note(struct histogram *all, struct histogram *own)
{
    uint64_t own_ns, ns = lap(&own_ns);
    histogram_add(all, ns);
    histogram_add(own, own_ns);
}

static uint64_t next_random(void)
{
    probe.random ^= probe.random << 13;
    probe.random ^= probe.random >> 7;
    probe.random ^= probe.random << 17;
    return probe.random;
}

/* Mostly small; one in a hundred up to 32 KiB, one in a thousand up to 2 MiB. */
static size_t next_size(void)
{
    uint64_t r = next_random();
    size_t most = r % 1000 == 0 ? (size_t)2 << 20 : r % 100 == 0 ? (size_t)32 << 10 : 1024;
    return 16 + (size_t)(r >> 20) % (most - 16);
}

/* About as long as a malloc from the thread's cache. */
static void do_nothing(void)
{
    for (int i = 0; i < 40; i++)
        __asm__ volatile("" ::: "memory");
}

static void *run(void *arg)
{
    uint64_t ignored;
    (void)arg;
    probe.schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    (void)without_cpu();
    probe.last = now_ns();
    while (!atomic_load_explicit(&probe.stop, memory_order_relaxed)) {
        size_t size = next_size(), at = next_random() % RING;
        void *old = probe.ring[at];
        (void)lap(&ignored);
        char *block = malloc(size);
        note(&probe.malloc, &probe.malloc_own);
        if (block == NULL)
            die("malloc failed");
        block[0] = 1;
        probe.ring[at] = block;
        (void)lap(&ignored);
        free(old);
        note(&probe.free, &probe.free_own);
        do_nothing();
        note(&probe.nothing, &probe.nothing_own);
        do_nothing();
        note(&probe.nothing, &probe.nothing_own);
    }
    for (size_t i = 0; i < RING; i++)
        free(probe.ring[i]);
    close(probe.schedstat);
    return NULL;
}

void probe_start(void)
{
    if (pthread_create(&probe.thread, NULL, run, NULL) != 0)
        die("cannot start a thread");
}

void probe_stop(void)
{
    atomic_store(&probe.stop, true);
    pthread_join(probe.thread, NULL);
}

void probe_print(void)
{
    const struct {
        const char *name;
        const struct histogram *h;
    } all[] = {{"malloc", &probe.malloc},   {"malloc_own", &probe.malloc_own},
               {"free", &probe.free},       {"free_own", &probe.free_own},
               {"nothing", &probe.nothing}, {"nothing_own", &probe.nothing_own}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        histogram_print(all[i].h, all[i].name);
}
