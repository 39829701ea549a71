/* The table of blocks that all threads share. See soak.h. */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "soak.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LOCKS = 64 };

static struct {
    struct item *items;
    size_t count;
    _Atomic size_t bytes;       /* written by any thread; relaxed: only a figure */
    _Atomic size_t drop_cursor; /* where the next drop goes on; relaxed */
    pthread_mutex_t locks[LOCKS];
    int reclaimer;              /* its id; negative: none */
    struct pauses in_reclaimer; /* one call at a time */
} table;

static size_t reclaim(const struct plim_pressure *pressure, void *arg)
{
    (void)arg;
    return shared_drop(pressure->target, &table.in_reclaimer);
}

void shared_begin(size_t slots)
{
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&table.locks[i], NULL);
    table.items = own_memory(slots * sizeof(*table.items));
    table.count = slots;
    table.reclaimer = plim_present() ? plim_reclaimer_add("soak", reclaim, NULL, PLIM_MEDIUM) : -1;
}

/* The lock is held for the swap alone: whoever holds it allocates and frees nothing, so that a
 * thread which waits for memory never keeps the reclaimer waiting. */
static struct item swap_at(size_t slot, struct item new)
{
    pthread_mutex_t *lock = &table.locks[slot % LOCKS];
    pthread_mutex_lock(lock);
    struct item old = table.items[slot];
    table.items[slot] = new;
    pthread_mutex_unlock(lock);
    atomic_fetch_add_explicit(&table.bytes, new.data ? new.size : 0, memory_order_relaxed);
    atomic_fetch_sub_explicit(&table.bytes, old.data ? old.size : 0, memory_order_relaxed);
    return old;
}

void shared_swap(struct item *item, uint64_t *random)
{
    *item = swap_at(next_random(random) % table.count, *item);
}

size_t shared_drop(size_t bytes, struct pauses *pauses)
{
    size_t dropped = 0;
    for (size_t tries = 0; tries < table.count && dropped < bytes; tries++) {
        size_t slot = atomic_fetch_add_explicit(&table.drop_cursor, 1, memory_order_relaxed);
        struct item old = swap_at(slot % table.count, (struct item){0});
        if (!old.data)
            continue;
        dropped += old.size;
        item_end(&old, pauses);
    }
    return dropped;
}

size_t shared_bytes(void)
{
    return atomic_load_explicit(&table.bytes, memory_order_relaxed);
}

void shared_end(struct pauses *pauses)
{
    if (table.reclaimer >= 0)
        plim_reclaimer_remove(table.reclaimer);
    shared_drop(SIZE_MAX, pauses);
    own_memory_free(table.items, table.count * sizeof(*table.items));
    table.items = NULL;
}
