/*
 * Keeps slabs.c away while jemalloc does things with slabs that no bin's lock guards.
 */
#include "instead.h"
#include "slabs.h"

#include "../inside.h"
#include "../je.h"
#include "../sys.h"

#include <stdatomic.h>

/*
 * others: how many threads take slabs out of bins, or blocks out of slabs, without the bin's lock,
 * or end an arena with all that is known of its extents. looked_at: slabs.c reads an extent. The
 * two exclude each other; of the others there may be many at once.
 */
static struct {
    _Atomic uint64_t others;
    _Atomic bool looked_at;
} slabs;

void slabs_leave_alone(void)
{
    atomic_fetch_add_explicit(&slabs.others, 1, memory_order_seq_cst);
    while (atomic_load_explicit(&slabs.looked_at, memory_order_seq_cst))
        sys_sleep_ns(20 * 1000); /* it takes microseconds, if it gets a CPU */
}

void slabs_go_on(void)
{
    count_down(&slabs.others, 1);
}

void slabs_fork_child(void)
{
    atomic_store_explicit(&slabs.others, 0, memory_order_seq_cst);
    atomic_store_explicit(&slabs.looked_at, false, memory_order_seq_cst);
}

bool slabs_begin_look(void)
{
    atomic_store_explicit(&slabs.looked_at, true, memory_order_seq_cst);
    if (atomic_load_explicit(&slabs.others, memory_order_seq_cst) == 0)
        return true;
    slabs_end_look();
    return false;
}

void slabs_end_look(void)
{
    atomic_store_explicit(&slabs.looked_at, false, memory_order_seq_cst);
}

void je_arena_reset(void *tsd, void *arena);
size_t je_arena_fill_small_fresh(void *tsdn, void *arena, unsigned index, void **ptrs, size_t count,
                                 bool zero);
void je_pa_dalloc(void *tsdn, void *shard, struct extent *slab, bool *deferred);
void arena_reset(void *tsd, void *arena) INSTEAD(arena_reset);
size_t fill_fresh(void *tsdn, void *arena, unsigned index, void **ptrs, size_t count, bool zero)
    INSTEAD(arena_fill_small_fresh);
void slab_ends(void *tsdn, void *shard, struct extent *slab, bool *deferred) INSTEAD(pa_dalloc);

void arena_reset(void *tsd, void *arena)
{
    slabs_leave_alone();
    je_arena_reset(tsd, arena);
    slabs_go_on();
}

/* experimental.batch_alloc */
size_t fill_fresh(void *tsdn, void *arena, unsigned index, void **ptrs, size_t count, bool zero)
{
    slabs_leave_alone();
    size_t filled = je_arena_fill_small_fresh(tsdn, arena, index, ptrs, count, zero);
    slabs_go_on();
    return filled;
}

/*
 * The map still leads to a slab that has ended, and to the next slab in its place before that has
 * its shard number, which says whose lock to take. So from the end of a slab on none of its blocks
 * counts as free.
 */
void slab_ends(void *tsdn, void *shard, struct extent *slab, bool *deferred)
{
    if (plim_je_map_48 != NULL)
        __atomic_store_n(&slab->bits, slab->bits & ~(FREE_BLOCKS_MASK << FREE_BLOCKS_SHIFT),
                         __ATOMIC_RELAXED);
    je_pa_dalloc(tsdn, shard, slab, deferred);
}
