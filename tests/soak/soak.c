/*
 * Allocates at the line and checks every byte, as told by lines on stdin. See soak.h and run.
 *   phase SECONDS THREADS RANGE OWN_BYTES SHARED_BYTES FORKS SEED   begins one; prints "begun"
 *   park    all threads stand still; prints "full ..."; the next line lets them go on
 *   end     waits until the time is up and all is freed; prints "ended ...", then "quiet ..."
 *   classes prints "classes ...": bytes that are not free, by the size of their blocks
 * All figures are key=value, bytes and nanoseconds. Ends with stdin; status 1 if a byte was wrong.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "soak.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const uint64_t patience_ns = 30000000000u;

void *own_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        stop("soak: no %zu bytes for itself", bytes);
    return memory;
}

void own_memory_free(void *memory, size_t bytes)
{
    munmap(memory, bytes);
}

uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

uint64_t random_between(uint64_t *state, uint64_t from, uint64_t to)
{
    return from + next_random(state) % (to - from);
}

/* --- figures --- */

static struct plim_stats stats_now(void)
{
    struct plim_stats stats = {.size = sizeof(stats)};
    if (!plim_present() || plim_stats(&stats) != 0)
        memset(&stats, 0, sizeof(stats));
    return stats;
}

/* While the other threads stand still; the library's own may purge meanwhile. */
static void full(void)
{
    phase_park();
    struct plim_stats stats = stats_now();
    printf("full committed=%llu active=%llu metadata=%zu written=%zu\n",
           (unsigned long long)stats.committed, (unsigned long long)stats.active, metadata_bytes(),
           phase_written());
}

static void go_on(void)
{
    printf("went_on committed=%llu written=%zu\n", (unsigned long long)stats_now().committed,
           phase_written());
    phase_go_on();
}

/* The program has nothing live now. Blocks in another thread's cache count as allocated, and only
 * that thread can empty it: the library's own, which has run the reclaimer, may get no CPU just
 * now. So this waits until no thread caches anything and the figure stays the same. */
static void quiet(void)
{
    size_t allocated = SIZE_MAX, cached, before;
    uint64_t began = now_ns();
    do {
        before = allocated;
        jemalloc_tidy();
        usleep(100000);
        jemalloc_refresh();
        allocated = jemalloc_size("stats.allocated");
        cached = jemalloc_size("stats.arenas.4096.tcache_bytes");
    } while ((allocated != before || cached > 0) && now_ns() - began < patience_ns);
    struct plim_stats stats = stats_now();
    printf("quiet allocated=%zu cached=%zu committed=%llu active=%llu metadata=%zu "
           "throttle_ns=%llu reclaim_cpu_ns=%llu looks=%llu purges=%llu reclaimer_calls=%llu "
           "reclaimer_freed=%llu cannot=%u\n",
           allocated, cached, (unsigned long long)stats.committed, (unsigned long long)stats.active,
           metadata_bytes(), (unsigned long long)stats.throttle_ns,
           (unsigned long long)stats.reclaim_cpu_ns, (unsigned long long)stats.looks,
           (unsigned long long)stats.purges, (unsigned long long)stats.reclaimer_calls,
           (unsigned long long)stats.reclaimer_freed_bytes, stats.cannot_meet_limit);
}

static void end(void)
{
    struct phase_result r = phase_end();
    printf("ended operations=%llu calls=%llu longest_ns=%llu over_10ms=%llu over_100ms=%llu "
           "reading_longest_ns=%llu forks=%llu failed_children=%llu refused=%llu wrong=%llu\n",
           (unsigned long long)r.operations, (unsigned long long)r.pauses.calls,
           (unsigned long long)r.pauses.longest_ns, (unsigned long long)r.pauses.over_10ms,
           (unsigned long long)r.pauses.over_100ms, (unsigned long long)r.pauses.reading_longest_ns,
           (unsigned long long)r.forks, (unsigned long long)r.failed_children,
           (unsigned long long)r.refused, (unsigned long long)wrong_count());
    quiet();
}

static void begin(const char *line)
{
    struct phase phase = {0};
    unsigned forks = 0;
    if (sscanf(line, "phase %lf %u %u %zu %zu %u %lu", &phase.seconds, &phase.threads, &phase.range,
               &phase.own_bytes, &phase.shared_slots_bytes, &forks, &phase.seed) != 7 ||
        phase.threads < 1 || phase.threads > PHASE_THREADS_MAX || phase.range >= PHASE_RANGES)
        stop("soak: not a phase: %s", line);
    phase.forks = forks != 0;
    phase_begin(&phase);
    printf("begun\n");
}

int main(void)
{
    /* Made before the first phase, so that what stdio and the allocator need is there. */
    static char line[256], in[4096], out[4096];
    setvbuf(stdin, in, _IOFBF, sizeof(in));
    setvbuf(stdout, out, _IOLBF, sizeof(out));
    while (fgets(line, sizeof(line), stdin)) {
        if (strncmp(line, "phase ", 6) == 0)
            begin(line);
        else if (strcmp(line, "park\n") == 0)
            full();
        else if (strcmp(line, "go\n") == 0)
            go_on();
        else if (strcmp(line, "end\n") == 0)
            end();
        else if (strcmp(line, "classes\n") == 0)
            classes_print();
        else
            stop("soak: unknown command: %s", line);
        fflush(stdout);
    }
    return wrong_count() ? 1 : 0;
}
