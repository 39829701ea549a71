/* Phases: threads that allocate, resize, exchange, free and fork at random. See soak.h. */
#include "soak.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_CHECKS = 200, CHILD_BYTES = 1 << 20, SLOTS_MAX = 300000 };

static const uint64_t fork_every_ns = 100000000;

static const struct {
    size_t from, to;
} ranges[PHASE_RANGES] = {
    {64, 512},       {512, 4096},       {4096, 32768}, {32768, 262144},
    {65536, 524288}, {524288, 4194304}, {64, 65536},
};

struct worker {
    pthread_t thread;
    uint64_t random;
    struct item *items; /* this thread's own */
    size_t count;
    _Atomic size_t bytes; /* in items; this thread adds, the main thread reads while parked */
    struct phase_result result;
};

static struct {
    struct phase phase;
    uint64_t ends_ns;
    size_t slots_each;
    struct worker workers[PHASE_THREADS_MAX];
    pthread_mutex_t lock; /* guards the members below */
    pthread_cond_t changed;
    bool park;
    unsigned running, parked;
} run = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Sizes of the last range spread over all orders of magnitude, those of the others evenly. */
static size_t random_size(uint64_t *random)
{
    size_t from = ranges[run.phase.range].from, to = ranges[run.phase.range].to;
    if (run.phase.range == PHASE_RANGES - 1) {
        to = from << random_between(random, 1, 11);
        from = to / 2;
    }
    return random_between(random, from, to);
}

static size_t mean_size(void)
{
    if (run.phase.range == PHASE_RANGES - 1)
        return 10000;
    return (ranges[run.phase.range].from + ranges[run.phase.range].to) / 2;
}

/* --- one thread --- */

static void set_bytes(struct worker *self, size_t before, size_t after)
{
    size_t bytes = atomic_load_explicit(&self->bytes, memory_order_relaxed);
    atomic_store_explicit(&self->bytes, bytes + after - before, memory_order_relaxed);
}

static size_t size_of(const struct item *item)
{
    return item->data ? item->size : 0;
}

/* The child: checks its parent's blocks, allocates and frees some, and ends. */
static _Noreturn void child(struct worker *self)
{
    uint64_t wrong_before = wrong_count();
    struct pauses ignored = {0};
    for (size_t i = 0; i < CHILD_CHECKS; i++) {
        struct item *item = &self->items[next_random(&self->random) % self->count];
        if (item->data && item->size <= CHILD_BYTES)
            item_check(item);
    }
    for (size_t done = 0; done < CHILD_BYTES;) {
        struct item item;
        if (!item_make(&item, random_between(&self->random, 16, 20000), &self->random, &ignored))
            _exit(2);
        done += item.size;
        item_end(&item, &ignored);
    }
    _exit(wrong_count() == wrong_before ? 0 : 1);
}

/* One child at a time. It must keep its parent's blocks, whatever the parent does with them. */
static void fork_once(struct worker *self)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t last_ns; /* under the lock */
    if (pthread_mutex_trylock(&one) != 0)
        return;
    if (now_ns() - last_ns < fork_every_ns) {
        pthread_mutex_unlock(&one);
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        child(self);
    int status = 0;
    if (pid > 0)
        waitpid(pid, &status, 0);
    last_ns = now_ns();
    pthread_mutex_unlock(&one);
    if (pid < 0)
        return;
    self->result.forks++;
    self->result.failed_children += status != 0;
}

static void make_in(struct worker *self, struct item *item)
{
    if (!item_make(item, random_size(&self->random), &self->random, &self->result.pauses)) {
        item->data = NULL;
        self->result.refused++;
    }
}

/* Puts a new block into the shared table; frees the one that it replaces, of whatever thread. */
static void give_away(struct worker *self)
{
    struct item item;
    make_in(self, &item);
    if (!item.data)
        return;
    shared_swap(&item, &self->random);
    item_end(&item, &self->result.pauses);
}

static void operate(struct worker *self)
{
    struct pauses *pauses = &self->result.pauses;
    struct item *item = &self->items[next_random(&self->random) % self->count];
    size_t before = size_of(item);
    unsigned what = (unsigned)(next_random(&self->random) % 100);
    if (!item->data || what < 35) {
        item_end(item, pauses);
        make_in(self, item);
    } else if (what < 60) {
        if (!item_resize(item, random_size(&self->random), &self->random, pauses))
            self->result.refused++;
    } else if (what < 70) {
        shared_swap(item, &self->random);
    } else {
        give_away(self);
    }
    set_bytes(self, before, size_of(item));
    self->result.operations++;
    if (run.phase.forks && next_random(&self->random) % 64 == 0)
        fork_once(self);
}

static void wait_while_parked(void)
{
    pthread_mutex_lock(&run.lock);
    if (run.park) {
        run.parked++;
        pthread_cond_broadcast(&run.changed);
        while (run.park)
            pthread_cond_wait(&run.changed, &run.lock);
        run.parked--;
    }
    pthread_mutex_unlock(&run.lock);
}

static void *work(void *arg)
{
    struct worker *self = arg;
    while (now_ns() < run.ends_ns) {
        for (int i = 0; i < 4; i++)
            operate(self);
        wait_while_parked();
    }
    for (size_t i = 0; i < self->count; i++)
        item_end(&self->items[i], &self->result.pauses);
    atomic_store_explicit(&self->bytes, 0, memory_order_relaxed);
    pthread_mutex_lock(&run.lock);
    run.running--;
    pthread_cond_broadcast(&run.changed);
    pthread_mutex_unlock(&run.lock);
    return NULL;
}

/* --- the phase --- */

static size_t slots_for(size_t bytes)
{
    size_t slots = bytes / mean_size() + 1;
    return slots < SLOTS_MAX ? slots : SLOTS_MAX;
}

void phase_begin(const struct phase *phase)
{
    run.phase = *phase;
    run.ends_ns = now_ns() + (uint64_t)(phase->seconds * 1e9);
    run.running = phase->threads;
    shared_begin(slots_for(phase->shared_slots_bytes));
    run.slots_each = slots_for(phase->own_bytes) / phase->threads + 1;
    for (unsigned i = 0; i < phase->threads; i++) {
        struct worker *worker = &run.workers[i];
        *worker = (struct worker){.random = phase->seed * 1000 + i, .count = run.slots_each};
        worker->items = own_memory(worker->count * sizeof(*worker->items));
        if (pthread_create(&worker->thread, NULL, work, worker) != 0)
            stop("cannot start a thread");
    }
}

void phase_park(void)
{
    pthread_mutex_lock(&run.lock);
    run.park = true;
    while (run.parked < run.running)
        pthread_cond_wait(&run.changed, &run.lock);
    pthread_mutex_unlock(&run.lock);
}

size_t phase_written(void)
{
    size_t bytes = shared_bytes();
    for (unsigned i = 0; i < run.phase.threads; i++)
        bytes += atomic_load_explicit(&run.workers[i].bytes, memory_order_relaxed);
    return bytes;
}

void phase_go_on(void)
{
    pthread_mutex_lock(&run.lock);
    run.park = false;
    pthread_cond_broadcast(&run.changed);
    pthread_mutex_unlock(&run.lock);
}

struct phase_result phase_end(void)
{
    struct phase_result sum = {0};
    for (unsigned i = 0; i < run.phase.threads; i++) {
        struct worker *worker = &run.workers[i];
        pthread_join(worker->thread, NULL);
        own_memory_free(worker->items, worker->count * sizeof(*worker->items));
        pauses_add(&sum.pauses, &worker->result.pauses);
        sum.operations += worker->result.operations;
        sum.forks += worker->result.forks;
        sum.failed_children += worker->result.failed_children;
        sum.refused += worker->result.refused;
    }
    shared_end(&sum.pauses);
    return sum;
}
