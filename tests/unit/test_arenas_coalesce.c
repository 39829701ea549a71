/* Free pages side by side: whether those of slabs that have ended serve larger requests. */
#include "test_arenas.h"

#include <criterion/criterion.h>

/* Leaves free pages that were 2048 slabs. */
static void end_slabs(unsigned arena)
{
    enum { SMALL = 2048, COUNT = 4096 };
    static void *small[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_not_null(small[i] = je_mallocx(SMALL, arena_and_no_cache(arena)));
    for (size_t i = 0; i < COUNT; i++)
        je_dallocx(small[i], arena_and_no_cache(arena));
}

/* Takes large blocks for half of those pages; returns by how much committed memory grew. */
static uint64_t taken_for_large_blocks(unsigned arena)
{
    enum { LARGE = 32 * 1024, LARGE_COUNT = 128 };
    static void *large[LARGE_COUNT];
    const int flags = arena_and_no_cache(arena);
    end_slabs(arena);
    uint64_t before = account_committed();
    for (size_t i = 0; i < LARGE_COUNT; i++)
        cr_assert_not_null(large[i] = je_mallocx(LARGE, flags));
    uint64_t taken = account_committed() - before;
    for (size_t i = 0; i < LARGE_COUNT; i++)
        je_dallocx(large[i], flags);
    (void)arenas_purge(UINT64_MAX);
    return taken;
}

Test(arenas, free_pages_that_are_joined_serve_larger_requests)
{
    need_slabs();
    unsigned arena = create_arena();
    arenas_find_new();
    cr_expect_geq(taken_for_large_blocks(arena), 2 * MiB, "as jemalloc has it");
    cr_expect_not(arenas_coalesce(true));
    cr_expect_eq(taken_for_large_blocks(arena), 0u);
    cr_expect_eq(taken_for_large_blocks(arena), 0u, "a purge leaves it as it was");
    cr_expect(arenas_coalesce(false));
    cr_expect_geq(taken_for_large_blocks(arena), 2 * MiB, "as before");
}

Test(arenas, those_of_an_arena_made_later_are_joined_as_well)
{
    need_slabs();
    (void)arenas_coalesce(true);
    unsigned arena = create_arena();
    arenas_find_new();
    (void)arenas_coalesce(true);
    cr_expect_eq(taken_for_large_blocks(arena), 0u);
    (void)arenas_coalesce(false);
    control_arena(arena, "destroy");
    (void)arenas_coalesce(true);
    (void)arenas_coalesce(false);
}

/* The purge makes one call for each run of pages, not for each slab. */
Test(arenas, what_was_freed_before_is_joined_as_it_is_purged)
{
    need_slabs();
    unsigned arena = create_arena();
    arenas_find_new();
    end_slabs(arena);
    (void)arenas_allocated();
    size_t before = statistic(arena, "dirty_nmadvise");
    (void)arenas_coalesce(true);
    (void)arenas_purge(UINT64_MAX);
    (void)arenas_coalesce(false);
    (void)arenas_allocated();
    cr_expect_leq(statistic(arena, "dirty_nmadvise") - before, 64u);
}
