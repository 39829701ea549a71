/*
 * A model of a language with one lock for all its code: the thread that allocates holds the lock
 * that its reclaimer needs, and hands it over only between two allocations, to a thread that has
 * waited for a while.
 *   one_lock [--mib 400]
 * Adds --mib in all to a cache that the reclaimer empties. Prints calls=N (of the reclaimer),
 * waited_ms=N (of the allocating thread, at the limit), and ok=1 at the end. Needs the library.
 */
#include "stats_now.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const double turn_s = 0.02;

static pthread_mutex_t interpreter = PTHREAD_MUTEX_INITIALIZER;
static _Atomic double wanted_s; /* since when the reclaimer has wanted the lock; 0: it does not */
static _Atomic unsigned calls;
static struct block_queue cache = BLOCK_QUEUE_INIT;

static size_t shrink(const struct plim_pressure *pressure, void *arg)
{
    (void)arg;
    atomic_fetch_add(&calls, 1);
    atomic_store(&wanted_s, now_s());
    pthread_mutex_lock(&interpreter);
    atomic_store(&wanted_s, 0);
    size_t freed = block_queue_drop(&cache, pressure->target, false);
    pthread_mutex_unlock(&interpreter);
    return freed;
}

static void let_others_in(void)
{
    pthread_mutex_unlock(&interpreter);
    while (atomic_load(&wanted_s) > 0)
        sched_yield();
    pthread_mutex_lock(&interpreter);
}

int main(int argc, char **argv)
{
    size_t left = (size_t)(option_number(argc, argv, "mib", 400) * 1048576);
    if (plim_reclaimer_add("cache", shrink, NULL, PLIM_MEDIUM) < 0)
        die("cannot add a reclaimer");
    pthread_mutex_lock(&interpreter);
    while (left > 0) {
        size_t held;
        struct block *block = block_new(20000, &held);
        if (!block)
            die("malloc failed");
        block_queue_add(&cache, block);
        left -= held < left ? held : left;
        double since_s = atomic_load(&wanted_s);
        if (since_s > 0 && now_s() - since_s >= turn_s)
            let_others_in();
    }
    pthread_mutex_unlock(&interpreter);
    printf("calls=%u waited_ms=%.0f ok=1\n", atomic_load(&calls),
           (double)stats_now().throttle_ns / 1e6);
    return 0;
}
