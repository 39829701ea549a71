/* Arenas of the program's own: made, given hooks and decay times, and destroyed by it. */
#include "test_arenas.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

int mallctlnametomib(const char *name, size_t *mib, size_t *miblen);
int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp, void *newp,
                 size_t newlen);

unsigned create_arena_with(struct je_extent_hooks *hooks)
{
    unsigned index = 0;
    size_t len = sizeof(index);
    cr_assert_eq(mallctl("arenas.create", &index, &len, hooks != NULL ? &hooks : NULL,
                         hooks != NULL ? sizeof(hooks) : 0),
                 0);
    return index;
}

unsigned create_arena(void)
{
    return create_arena_with(NULL);
}

void control_arena(unsigned arena, const char *what)
{
    char name[32];
    snprintf(name, sizeof(name), "arena.%u.%s", arena, what);
    cr_assert_eq(mallctl(name, NULL, NULL, NULL, 0), 0);
}

static unsigned create_arena_by_mib(void)
{
    unsigned index = 0;
    size_t len = sizeof(index), mib[2], mib_len = ARRAY_LEN(mib);
    cr_assert_eq(mallctlnametomib("arenas.create", mib, &mib_len), 0);
    cr_assert_eq(mallctlbymib(mib, mib_len, &index, &len, NULL, 0), 0);
    return index;
}

static const size_t *active_pages(unsigned arena)
{
    return atomic_load(&account_active_pages[arena]);
}

static void assert_counted_and_purged(unsigned index)
{
    (void)arenas_purge(UINT64_MAX);
    uint64_t before = account_committed();
    void *p = je_mallocx(20 * MiB, arena_and_no_cache(index));
    cr_assert_not_null(p);
    cr_expect_geq(account_committed(), before + 20 * MiB);
    arenas_find_new();
    cr_expect_not_null(active_pages(index), "its pages in use are counted");
    assert_count_is_exact("in use");
    je_dallocx(p, arena_and_no_cache(index));
    assert_count_is_exact("freed");
    (void)arenas_purge(UINT64_MAX);
    assert_count_is_exact("purged");
    cr_expect_leq(account_committed(), before + MiB);
}

Test(arenas, arena_of_the_program_is_counted_and_purged)
{
    assert_counted_and_purged(create_arena());
    assert_counted_and_purged(create_arena_by_mib());
}

static uint64_t refreshes(void)
{
    uint64_t epoch = 0;
    size_t len = sizeof(epoch);
    cr_assert_eq(mallctl("epoch", &epoch, &len, NULL, 0), 0);
    return epoch;
}

/* Each refresh takes time and memory for every arena that there is. */
Test(arenas, new_arenas_are_found_without_a_refresh_of_the_statistics)
{
    unsigned index = create_arena();
    uint64_t before = refreshes();
    arenas_find_new();
    if (JE_NEEDS_HOOKS)
        cr_skip_test("the shared libjemalloc tells of a new arena only after one");
    cr_expect_eq(refreshes(), before);
    cr_expect_not_null(active_pages(index));
}

Test(arenas, count_stays_exact_when_arenas_are_destroyed)
{
    void *live = je_mallocx(64 * MiB, arena_and_no_cache(0));
    uint64_t before = account_committed();
    for (unsigned i = 0; i < 10; i++) {
        unsigned index = create_arena();
        void *p = je_mallocx(5 * MiB, arena_and_no_cache(index));
        cr_assert_not_null(p);
        je_dallocx(p, arena_and_no_cache(index));
        control_arena(index, "destroy");
    }
    (void)arenas_purge(UINT64_MAX);
    uint64_t after = account_committed();
    uint64_t apart = u64_max(before, after) - u64_min(before, after);
    cr_expect_leq(apart, MiB, "%zu KiB before, %zu KiB after", (size_t)(before / KiB),
                  (size_t)(after / KiB));
    je_dallocx(live, arena_and_no_cache(0));
}

Test(arenas, arena_with_the_index_of_one_destroyed_is_counted)
{
    unsigned index = create_arena();
    arenas_find_new();
    use_arena(index, 100 * KiB);
    control_arena(index, "destroy");
    cr_assert_eq(create_arena(), index);
    assert_counted_and_purged(index);
}

Test(arenas, arena_that_comes_and_goes_between_two_looks_is_forgotten)
{
    unsigned index = create_arena();
    cr_assert_eq(active_pages(index), &account_new);
    control_arena(index, "destroy");
    cr_expect_null(active_pages(index), "the next of that index may not be counted");
    cr_assert_eq(create_arena(), index, "the index is used anew");
    arenas_find_new();
    cr_expect_not_null(active_pages(index));
}

struct je_extent_hooks *default_hooks(void)
{
    struct je_extent_hooks *found = NULL;
    size_t len = sizeof(found);
    cr_assert_eq(mallctl("arena.0.extent_hooks", &found, &len, NULL, 0), 0);
    return found;
}

static void need_default_hooks_of_jemalloc(void)
{
    if (on_shared_jemalloc())
        cr_skip_test("the hooks found there are ours, and count");
}

Test(arenas, arena_with_hooks_of_the_program_built_on_the_default_ones_is_not_counted)
{
    need_default_hooks_of_jemalloc();
    static struct je_extent_hooks own;
    own = *default_hooks();
    unsigned index = create_arena_with(&own);
    struct arenas_pages before, in_use, freed;
    arenas_read(&before);
    void *p = je_mallocx(20 * MiB, arena_and_no_cache(index));
    cr_assert_not_null(p);
    arenas_read(&in_use);
    je_dallocx(p, arena_and_no_cache(index));
    (void)arenas_purge(UINT64_MAX);
    arenas_read(&freed);
    cr_expect_eq(in_use.committed, before.committed);
    cr_expect_eq(in_use.dirty, before.dirty);
    cr_expect_leq(freed.committed, before.committed);
    cr_expect_eq(freed.dirty, 0u);
}

void set_hooks(unsigned index, struct je_extent_hooks *given, bool by_mib)
{
    char name[48];
    size_t mib[3], len = ARRAY_LEN(mib);
    snprintf(name, sizeof(name), "arena.%u.extent_hooks", index);
    cr_assert_eq(mallctlnametomib(name, mib, &len), 0);
    int rc = by_mib ? mallctlbymib(mib, len, NULL, NULL, &given, sizeof(given))
                    : mallctl(name, NULL, NULL, &given, sizeof(given));
    cr_assert_eq(rc, 0);
}

static void *map(struct je_extent_hooks *h, void *addr, size_t size, size_t alignment, bool *zero,
                 bool *commit, unsigned arena)
{
    (void)h, (void)arena;
    *zero = *commit = true;
    return addr == NULL ? sys_map(NULL, size, alignment) : NULL;
}

static void assert_hooks_set_later_are_like_those_given_at_creation(bool by_mib)
{
    struct arenas_pages before, in_use;
    static struct je_extent_hooks own = {.alloc = map};
    unsigned index = create_arena();
    set_hooks(index, &own, by_mib);
    arenas_find_new();
    make_dirty(8 * MiB, 64 * KiB);
    arenas_read(&before);
    void *p = je_mallocx(100 * MiB, arena_and_no_cache(index));
    cr_assert_not_null(p);
    arenas_read(&in_use);
    cr_expect_eq(in_use.committed, before.committed);
    cr_expect_eq(in_use.dirty, before.dirty, "%zu KiB free before, %zu KiB now",
                 (size_t)(before.dirty / KiB), (size_t)(in_use.dirty / KiB));
    cr_expect(is_about(arenas_purge(UINT64_MAX), before.dirty));
    je_dallocx(p, arena_and_no_cache(index));
}

Test(arenas, hooks_of_the_program_set_later_end_the_counting)
{
    assert_hooks_set_later_are_like_those_given_at_creation(false);
    assert_hooks_set_later_are_like_those_given_at_creation(true);
}

/* An arena with blocks in use, free pages and a reserve, from which it goes on to allocate through
 * the default hooks. */
Test(arenas, arena_in_use_is_taken_out_of_the_count_and_in_again)
{
    static struct je_extent_hooks own;
    need_default_hooks_of_jemalloc();
    own = *default_hooks();
    struct arenas_pages before, out, in;
    struct je_extent_hooks *usual = default_hooks();
    unsigned index = create_arena();
    arenas_find_new();
    (void)arenas_purge(UINT64_MAX);
    arenas_read(&before);
    use_arena(index, 100 * KiB);
    (void)arenas_purge(UINT64_MAX);
    void *p = je_mallocx(5 * MiB, arena_and_no_cache(index));
    use_arena(index, 20 * KiB);
    set_hooks(index, &own, false);
    arenas_read(&out);
    cr_expect_eq(out.committed, before.committed);
    cr_expect_eq(out.dirty, before.dirty);
    for (unsigned i = 0; i < 20; i++)
        use_arena(index, (50 + i) * KiB);
    (void)arenas_allocated();
    cr_expect_lt(statistic(index, "mapped") + statistic(index, "retained"), 200 * MiB, "%zu MiB",
                 (statistic(index, "mapped") + statistic(index, "retained")) / MiB);
    je_dallocx(p, arena_and_no_cache(index));
    set_hooks(index, usual, true);
    arenas_find_new();
    use_arena(index, 100 * KiB);
    (void)arenas_purge(UINT64_MAX);
    arenas_read(&in);
    cr_expect_geq(in.committed, before.committed);
    cr_expect_geq(in.committed, in.active);
}

static int64_t decay_of(unsigned arena)
{
    char name[48];
    ssize_t ms = 0;
    size_t len = sizeof(ms);
    snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", arena);
    cr_assert_eq(mallctl(name, &ms, &len, NULL, 0), 0, "%s", name);
    return ms;
}

/* Waits for the other threads, or one arena would serve them all in turn. */
static void *allocate_and_wait(void *barrier)
{
    thread_state.inside = true;
    void *volatile p = malloc(100000);
    free(p);
    pthread_barrier_wait(barrier);
    return NULL;
}

Test(arenas, an_arena_made_late_has_the_decay_time_of_the_others)
{
    pthread_t threads[4];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, ARRAY_LEN(threads));
    arenas_set_decay(300);
    cr_expect_eq(decay_of(0), 300);
    arenas_find_new();
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, allocate_and_wait, &barrier);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    unsigned made = 0;
    while (made < account_arenas() && active_pages(made) != &account_new)
        made++;
    if (made == account_arenas())
        cr_skip_test("the threads found arenas there");
    arenas_find_new();
    cr_expect_eq(decay_of(made), 300);
}

void choose_decay(unsigned arena, ssize_t ms)
{
    char name[48];
    snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", arena);
    cr_assert_eq(mallctl(name, NULL, NULL, &ms, sizeof(ms)), 0);
}

Test(arenas, decay_time_that_the_program_sets_stays_and_its_pages_are_purged_all_the_same)
{
    unsigned chosen = create_arena(), other = create_arena();
    arenas_find_new();
    choose_decay(chosen, 123456);
    use_arena(chosen, 20 * KiB);
    arenas_set_decay(300);
    cr_expect_eq(decay_of(chosen), 123456);
    cr_expect_eq(decay_of(other), 300);
    choose_decay(chosen, -1);
    choose_decay(other, 200000);
    uint64_t dirty = dirty_now();
    cr_assert_geq(dirty, 4 * MiB);
    cr_expect_geq(arenas_purge(dirty / 2), dirty / 2);
    cr_expect_eq(decay_of(chosen), -1);
    cr_expect_eq(decay_of(other), 200000);
    arenas_set_decay(200);
    cr_expect_eq(decay_of(0), 200);
    cr_expect_eq(decay_of(other), 200000);
    (void)arenas_purge(UINT64_MAX);
    cr_expect(is_about(dirty_now(), 0));
}

/* The program sets a default of its own for arenas made from then on. */
Test(arenas, decay_time_that_the_program_sets_for_new_arenas_counts)
{
    ssize_t ms = 77777;
    arenas_set_decay(300);
    cr_assert_eq(mallctl("arenas.dirty_decay_ms", NULL, NULL, &ms, sizeof(ms)), 0);
    unsigned index = create_arena();
    arenas_find_new();
    arenas_set_decay(200);
    cr_expect_eq(decay_of(index), 77777);
}

/* A thread that is not in the child was in the middle of setting a new decay time. */
Test(arenas, forked_child_ends_what_another_thread_began)
{
    arenas_set_decay(300);
    arenas_set_decay(200);
    choose_decay(0, 300);
    arenas_fork_child();
    arenas_set_decay(150);
    cr_expect_eq(decay_of(0), 150);
}

static void *read_counts(void *stop)
{
    struct arenas_pages pages;
    thread_state.inside = true;
    while (!atomic_load((atomic_bool *)stop)) {
        arenas_read(&pages);
        cr_assert_leq(pages.active, pages.committed + MiB);
    }
    return NULL;
}

/* Reading finds what new arenas hold; setting their decay time is left to a look. */
Test(arenas, counts_are_read_beside_looks)
{
    pthread_t reader;
    atomic_bool stop = false;
    pthread_create(&reader, NULL, read_counts, &stop);
    for (unsigned i = 0; i < 40; i++) {
        unsigned index = create_arena();
        struct arenas_pages pages;
        arenas_set_decay(100 + i);
        arenas_read(&pages);
        cr_expect_eq(active_pages(index), &account_new);
        arenas_find_new();
        cr_expect_eq(decay_of(index), 100 + i);
    }
    atomic_store(&stop, true);
    pthread_join(reader, NULL);
}
