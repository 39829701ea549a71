/* Pages of slabs are given back while others use the slabs: threads, jemalloc itself, a parent. */
#include "jemalloc/slabs.h"
#include "test_arenas.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic bool end;

/* Threads that allocate, check and free, while pages of their slabs are given back all the time.
 * Few slabs, and no thread cache, so that blocks are handed out just where pages go. */
struct churn {
    unsigned seed;
    size_t size;
    unsigned char *blocks[300];
};

static void replace(struct churn *c, size_t i, bool fill)
{
    if (c->blocks[i] != NULL) {
        check_block(c->blocks[i], i, c->size);
        je_dallocx(c->blocks[i], arena_and_no_cache(0));
        c->blocks[i] = NULL;
    } else if (fill) {
        c->blocks[i] = je_mallocx(c->size, arena_and_no_cache(0));
        cr_assert_not_null(c->blocks[i]);
        write_block(c->blocks[i], i, c->size);
    }
}

static void *churn(void *arg)
{
    struct churn *c = arg;
    thread_state.inside = true;
    while (!atomic_load(&end)) {
        size_t i = (unsigned)rand_r(&c->seed) % ARRAY_LEN(c->blocks);
        replace(c, i, rand_r(&c->seed) % 4 == 0); /* most blocks stay free */
    }
    for (size_t i = 0; i < ARRAY_LEN(c->blocks); i++)
        replace(c, i, false);
    return NULL;
}

Test(arenas, no_byte_is_lost_while_others_use_their_slabs)
{
    need_slabs();
    static struct churn churns[3]; /* two of slabs of 28 KiB, and blocks that take their place */
    pthread_t threads[ARRAY_LEN(churns)];
    for (size_t i = 0; i < ARRAY_LEN(churns); i++) {
        churns[i] = (struct churn){.seed = (unsigned)i + 1, .size = (size_t)1792 << 2 * i};
        pthread_create(&threads[i], NULL, churn, &churns[i]);
    }
    for (uint64_t given = 0; given < 40 * MiB;)
        given += arenas_drop_slabs(UINT64_MAX).bytes;
    atomic_store(&end, true);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
}

/* An arena with hooks that are built on the default ones, and see whether slabs are left alone in
 * the middle of what jemalloc is doing. */
static struct je_extent_hooks defaults;
static unsigned seen, left_alone;

static bool are_left_alone(void)
{
    return arenas_drop_slabs(UINT64_MAX).left_alone;
}

static void see(void)
{
    seen++;
    left_alone += are_left_alone();
}

static void *see_alloc(struct je_extent_hooks *h, void *addr, size_t size, size_t alignment,
                       bool *zero, bool *commit, unsigned arena)
{
    (void)h;
    see();
    return defaults.alloc(&defaults, addr, size, alignment, zero, commit, arena);
}

static bool see_purge(struct je_extent_hooks *h, void *addr, size_t size, size_t offset,
                      size_t length, unsigned arena)
{
    (void)h;
    see();
    return defaults.purge_forced(&defaults, addr, size, offset, length, arena);
}

/* The first hook to be called where addresses are not kept (retain:false). */
static bool see_dalloc(struct je_extent_hooks *h, void *addr, size_t size, bool committed,
                       unsigned arena)
{
    (void)h;
    see();
    return defaults.dalloc(&defaults, addr, size, committed, arena);
}

static unsigned create_seeing_arena(void)
{
    static struct je_extent_hooks hooks;
    hooks = defaults = *default_hooks();
    hooks.alloc = see_alloc;
    hooks.dalloc = see_dalloc;
    hooks.purge_forced = see_purge;
    hooks.decommit = NULL;
    hooks.purge_lazy = NULL;
    unsigned index = create_arena_with(&hooks);
    choose_decay(index, 0);
    cr_assert_not(are_left_alone());
    return index;
}

/* Asserts that slabs were left alone at every hook since the last assertion. */
static void assert_left_alone(void)
{
    cr_expect_gt(seen, 0u);
    cr_expect_eq(left_alone, seen);
    cr_expect_not(are_left_alone());
    seen = left_alone = 0;
}

/* jemalloc takes its slabs out of their bins first. */
Test(arenas, slabs_are_left_alone_while_an_arena_is_reset_and_ended)
{
    need_slabs();
    unsigned index = create_seeing_arena();
    for (unsigned i = 0; i < 100; i++)
        cr_assert_not_null(je_mallocx(2560, arena_and_no_cache(index)));
    seen = left_alone = 0;
    control_arena(index, "reset");
    assert_left_alone();
    control_arena(index, "destroy");
    assert_left_alone();
}

/* The layout of jemalloc's batch_alloc_packet_t. */
struct batch {
    void **ptrs;
    size_t count, size;
    int flags;
};

/* jemalloc takes blocks out of new slabs before it puts these into a bin. */
Test(arenas, slabs_are_left_alone_while_a_batch_is_taken_out_of_them)
{
    need_slabs();
    static void *blocks[2000];
    size_t filled = 0;
    unsigned index = create_seeing_arena();
    struct batch batch = {blocks, ARRAY_LEN(blocks), 1280, arena_and_no_cache(index)};
    seen = left_alone = 0;
    cr_assert_eq(mallctl("experimental.batch_alloc", &filled, &(size_t){sizeof(filled)}, &batch,
                         sizeof(batch)),
                 0);
    cr_expect_eq(filled, ARRAY_LEN(blocks));
    assert_left_alone();
    control_arena(index, "destroy");
}

/* An arena that keeps its free pages. */
static unsigned create_keeping_arena(void)
{
    unsigned index = create_arena();
    choose_decay(index, -1);
    return index;
}

/* Not there on the shared libjemalloc, where the tests are skipped. */
const struct extent *slabs_extent_at(uintptr_t at) __attribute__((weak));

/* jemalloc's map still holds a slab that has ended, and holds the next slab in its place before
 * that has its shard: until then a reader must find no free blocks in it. */
Test(arenas, a_slab_that_has_ended_has_no_free_blocks)
{
    need_slabs();
    enum { SIZE = 1536, PER_SLAB = 8 }; /* 12 KiB: a slab that ends is not joined to others */
    unsigned index = create_keeping_arena();
    int flags = arena_and_no_cache(index);
    void *freed[PER_SLAB], *left[PER_SLAB];
    for (size_t i = 0; i < PER_SLAB; i++)
        freed[i] = je_mallocx(SIZE, flags);
    for (size_t i = 0; i < PER_SLAB; i++)
        left[i] = je_mallocx(SIZE, flags);
    const struct extent *ended = slabs_extent_at((uintptr_t)freed[0]);
    const struct extent *reset = slabs_extent_at((uintptr_t)left[0]);
    for (size_t i = 0; i < PER_SLAB; i++)
        je_dallocx(freed[i], flags);
    for (size_t i = 0; i < PER_SLAB / 2; i++)
        je_dallocx(left[i], flags);
    cr_expect_eq(extent_free_blocks(reset->bits), PER_SLAB / 2);
    cr_expect_eq(extent_free_blocks(ended->bits), 0u);
    control_arena(index, "reset");
    cr_expect_eq(slabs_extent_at((uintptr_t)left[0]), reset, "the map still tells of it");
    cr_expect_eq(extent_free_blocks(reset->bits), 0u);
}

static void *drop_on(void *arg)
{
    (void)arg;
    thread_state.inside = true;
    while (!atomic_load(&end))
        (void)arenas_drop_slabs(UINT64_MAX);
    return NULL;
}

/* Slabs of 12 KiB, half of whose blocks are free when a reset ends them, and in their places slabs
 * of another size. */
Test(arenas, no_byte_is_lost_where_a_reset_has_ended_slabs)
{
    need_slabs();
    enum { SMALL = 48, SIZE = 1536, SLABS = 40, SMALL_COUNT = SLABS * 256, COUNT = SLABS * 8 };
    static void *small[SMALL_COUNT];
    static unsigned char *blocks[COUNT];
    unsigned index = create_keeping_arena();
    int flags = arena_and_no_cache(index);
    pthread_t thread;
    pthread_create(&thread, NULL, drop_on, NULL);
    for (unsigned round = 0; round < 400; round++) {
        for (size_t i = 0; i < SMALL_COUNT; i++)
            small[i] = je_mallocx(SMALL, flags);
        for (size_t i = 0; i < SMALL_COUNT; i++)
            if (i % 256 >= 100)
                je_dallocx(small[i], flags);
        control_arena(index, "reset");
        for (size_t i = 0; i < COUNT; i++)
            write_block(blocks[i] = je_mallocx(SIZE, flags), i, SIZE);
        for (size_t i = 0; i < COUNT; i++)
            check_block(blocks[i], i, SIZE);
        control_arena(index, "reset");
    }
    atomic_store(&end, true);
    pthread_join(thread, NULL);
}

/* Until then the arena's pages come from the library. */
Test(arenas, slabs_of_an_arena_are_left_alone_once_the_program_gives_it_hooks)
{
    need_slabs();
    static struct je_extent_hooks own;
    static void *blocks[4000];
    struct je_extent_hooks *usual = default_hooks();
    unsigned index = create_arena();
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        memset(blocks[i] = je_mallocx(2560, arena_and_no_cache(index)), 1, 2560);
    own = *usual;
    set_hooks(index, &own, false);
    end_slabs_round();
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        if (i % 8 != 0)
            je_dallocx(blocks[i], arena_and_no_cache(index));
    cr_expect_leq(drop_slabs(), 128 * KiB);
    set_hooks(index, usual, false);
    cr_expect_geq(drop_slabs(), 6 * MiB, "and not when it has the default ones again");
}
