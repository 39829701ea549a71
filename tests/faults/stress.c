/*
 * A program that does what the library is there for, in a small cgroup: threads that fill blocks
 * and check them, phases that change size classes, a cache that a reclaimer empties, children,
 * calls of the API. Prints what happened as words NAME=NUMBER; exits with 1 if a byte was lost.
 *
 *   stress SEED OPERATIONS may-refuse|never-refuse [DIR]     DIR: a record must appear there
 */
#include <plimsoll.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, SLOTS = 4096, PHASES = 6, CACHE = 16, PRESS = 110 };
static const size_t live_max = (size_t)18 << 20; /* of each thread */
static const size_t cache_block = (size_t)1 << 20;

static _Atomic unsigned long refused, checked, lost, reclaimed, levels;
static _Atomic(char *) cache[CACHE];
static bool may_refuse;
static unsigned long operations;

struct block {
    unsigned char *at;
    size_t len;
    unsigned char mark;
};

struct worker {
    uint64_t state;
    size_t live;
    struct block blocks[SLOTS];
};

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "stress: %s (errno %d)\n", what, errno);
    exit(1);
}

/* malloc may return NULL, if errno says ENOMEM and refusals are allowed. */
static void note_refusal(void)
{
    if (errno != ENOMEM || !may_refuse)
        fail("refused");
    atomic_fetch_add(&refused, 1);
}

/* All of small blocks; each page of large ones. */
static void fill(const struct block *b)
{
    memset(b->at, b->mark, b->len);
}

static void check(const struct block *b, size_t len)
{
    size_t step = len > 65536 ? 509 : 1;
    for (size_t i = 0; i < len; i += step)
        if (b->at[i] != b->mark) {
            atomic_fetch_add(&lost, 1);
            (void)fprintf(stderr, "stress: byte %zu of %zu is %u, not %u\n", i, len, b->at[i],
                          b->mark);
            exit(1);
        }
    atomic_fetch_add(&checked, 1);
}

static void drop(struct worker *w, struct block *b)
{
    check(b, b->len);
    free(b->at);
    w->live -= b->len;
    *b = (struct block){0};
}

/* A phase's sizes lie around one power of two, so that the memory freed by the previous phase does
 * not fit. */
static size_t choose(struct worker *w, unsigned phase)
{
    static const unsigned shifts[PHASES] = {6, 13, 9, 15, 11, 16};
    size_t base = (size_t)1 << shifts[phase];
    if (next(&w->state) % 512 == 0)
        return ((size_t)1 << 20) + next(&w->state) % (2 << 20); /* judged beforehand */
    return base + next(&w->state) % base;
}

static void take(struct worker *w, struct block *b, unsigned phase)
{
    size_t len = choose(w, phase);
    if (w->live + len > live_max)
        return;
    bool zeroed = next(&w->state) % 4 == 0;
    b->at = zeroed ? calloc(1, len) : malloc(len);
    if (b->at == NULL) {
        note_refusal();
        return;
    }
    b->len = len;
    if (zeroed)
        check(b, len); /* its mark is still 0 */
    b->mark = (unsigned char)(next(&w->state) | 1);
    fill(b);
    w->live += len;
}

/* What a block keeps when it is resized must be unchanged. */
static void resize(struct worker *w, struct block *b, unsigned phase)
{
    size_t len = choose(w, phase), kept = len < b->len ? len : b->len;
    if (w->live - b->len + len > live_max)
        return;
    unsigned char *at = realloc(b->at, len);
    if (at == NULL) {
        note_refusal();
        check(b, b->len);
        return;
    }
    b->at = at;
    check(b, kept);
    w->live += len - b->len;
    b->len = len;
    fill(b);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    for (unsigned phase = 0; phase < PHASES; phase++) {
        for (unsigned long i = 0; i < operations; i++) {
            struct block *b = &w->blocks[next(&w->state) % SLOTS];
            if (b->at == NULL)
                take(w, b, phase);
            else if (next(&w->state) % 4 == 0)
                resize(w, b, phase);
            else
                drop(w, b);
        }
        for (unsigned i = 0; i < SLOTS; i++)
            if (w->blocks[i].at != NULL && next(&w->state) % 8 != 0)
                drop(w, &w->blocks[i]);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        if (w->blocks[i].at != NULL)
            drop(w, &w->blocks[i]);
    return NULL;
}

static size_t empty_cache(const struct plim_pressure *p, void *arg)
{
    size_t freed = 0;
    (void)arg;
    for (unsigned i = 0; i < CACHE && freed < p->target; i++) {
        char *block = atomic_exchange(&cache[i], NULL);
        freed += block != NULL ? cache_block : 0;
        free(block);
    }
    atomic_fetch_add(&reclaimed, 1);
    return freed;
}

static void fill_cache(void)
{
    for (unsigned i = 0; i < CACHE; i++) {
        if (atomic_load(&cache[i]) != NULL)
            continue;
        char *block = malloc(cache_block), *empty = NULL;
        if (block == NULL) {
            note_refusal();
            return;
        }
        memset(block, 7, cache_block);
        if (!atomic_compare_exchange_strong(&cache[i], &empty, block))
            free(block);
    }
}

static void child(void)
{
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        char *p = malloc(3 << 20);
        if (p != NULL)
            memset(p, 1, 3 << 20);
        free(p);
        _exit(p == NULL && !may_refuse ? 3 : 0);
    }
    if (pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0))
        fail("a child ended badly");
}

/* Each call may fail in the ways that its manual tells, but none may return nonsense. */
static void call_api(unsigned round)
{
    struct plim_stats stats = {.size = sizeof(stats)};
    struct plim_limits limits = {.size = sizeof(limits)};
    if (plim_stats(&stats) != 0 || plim_limits(&limits) != 0)
        fail("plim_stats or plim_limits");
    if (limits.hard != UINT64_MAX && limits.soft > limits.hard)
        fail("a soft limit above the hard one");
    if (plim_level() > PLIM_CRITICAL || plim_cpus() < 1)
        fail("plim_level or plim_cpus");
    if (round % 4 == 0)
        (void)plim_reclaim((uint64_t)1 << 30); /* waits for the watcher */
    if (round % 8 == 0 && plim_set_limit(round % 16 == 0 ? (uint64_t)90 << 20 : 0) != 0)
        fail("plim_set_limit");
    int fd = plim_pressure_fd();
    if (fd < 0 && fd != -EMFILE && fd != -ENFILE && fd != -ENOMEM && fd != -ENODEV)
        fail("plim_pressure_fd");
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    uint64_t count;
    if (fd >= 0 && poll(&ready, 1, 0) == 1 && read(fd, &count, sizeof(count)) == 8)
        atomic_fetch_add(&levels, 1);
}

/* Waits for a record, which the watcher writes. */
static void await_record(const char *path)
{
    for (unsigned tries = 0; tries < 3000; tries++) {
        bool found = false;
        struct dirent *entry;
        DIR *dir = opendir(path);
        while (dir != NULL && (entry = readdir(dir)) != NULL)
            found = found || strstr(entry->d_name, ".record") != NULL;
        if (dir != NULL)
            closedir(dir);
        if (found)
            return;
        (void)usleep(20000);
    }
    fail("no record was written");
}

/* Takes usage up to level critical, where a flight record is written. True: the level was
 * reached. */
static bool press(const char *records)
{
    char *blocks[PRESS] = {NULL};
    bool critical = false;
    (void)plim_set_limit((uint64_t)16 << 20);
    for (unsigned i = 0; i < PRESS && !critical; i++) {
        struct plim_stats stats = {.size = sizeof(stats)};
        blocks[i] = malloc(cache_block);
        if (blocks[i] == NULL)
            note_refusal();
        else
            memset(blocks[i], 1, cache_block);
        (void)plim_stats(&stats);
        critical = plim_level() == PLIM_CRITICAL;
    }
    (void)plim_reclaim((uint64_t)1 << 30); /* waits for a whole look of the watcher */
    if (records != NULL)
        await_record(records);
    for (unsigned i = 0; i < PRESS; i++)
        free(blocks[i]);
    return critical;
}

static unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    struct worker *workers = calloc(THREADS, sizeof(*workers));
    uint64_t seed = argc >= 4 ? strtoull(argv[1], NULL, 10) : 0;
    if (seed == 0)
        return 2;
    operations = strtoul(argv[2], NULL, 10);
    may_refuse = strcmp(argv[3], "may-refuse") == 0;
    while (workers == NULL && may_refuse)
        workers = calloc(THREADS, sizeof(*workers));
    if (workers == NULL || plim_reclaimer_add("cache", empty_cache, NULL, PLIM_MEDIUM) < 0)
        fail("at the start");
    unsigned before = descriptors();
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].state = seed * 2654435761u + i + 1;
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
            fail("pthread_create");
    }
    for (unsigned round = 0; round < 40; round++) {
        fill_cache();
        call_api(round);
        if (round % 10 == 3)
            child();
        (void)usleep(20000);
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    bool critical = press(argv[4]);
    printf("checked=%lu lost=%lu refused=%lu reclaimed=%lu levels=%lu critical=%d descriptors=%d\n",
           checked, lost, refused, reclaimed, levels, critical, (int)descriptors() - (int)before);
    return 0;
}
