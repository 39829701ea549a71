/*
 * Counting and purging with the real jemalloc inside: this program is itself allocated by it.
 *
 * Thread caches, slabs and metadata are left as they are: what is compared are pages.
 */
#include "account.h"
#include "arenas.h"
#include "je.h"
#include "runtime.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int arena_and_no_cache(unsigned index)
{
    return (int)((index + 1) << 20) | (1 << 8); /* MALLOCX_ARENA, MALLOCX_TCACHE_NONE */
}

static void use_arena(unsigned index, size_t size)
{
    void *blocks[256];
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        cr_assert_not_null(blocks[i] = je_mallocx(size, arena_and_no_cache(index)));
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        je_dallocx(blocks[i], arena_and_no_cache(index));
}

/* What a shared jemalloc took before it had hooks counts as committed until it has been used once.
 */
static void use_first_extents(void)
{
    const size_t sizes[] = {16 * KiB, 8 * KiB, 4 * KiB}; /* the smaller ones fill what is left */
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        use_arena(0, sizes[i]);
        (void)arenas_purge(UINT64_MAX);
    }
}

/* No looks, no ageing: only this file purges. */
static void hold_still(void)
{
    cr_assert(runtime_ready());
    lock_take(&runtime.look_lock);
    thread_state.inside = true;
    arenas_set_decay(-1);
    use_first_extents();
}

static void let_go(void)
{
    thread_state.inside = false;
    lock_release(&runtime.look_lock);
}

TestSuite(arenas, .init = hold_still, .fini = let_go, .timeout = 300);

/* 0 for an arena that no thread has needed yet. */
static size_t statistic(unsigned arena, const char *name)
{
    char path[64];
    size_t value = 0, len = sizeof(value);
    snprintf(path, sizeof(path), "stats.arenas.%u.%s", arena, name);
    int rc = je_mallctl(path, &value, &len, NULL, 0);
    cr_assert(rc == 0 || rc == ENOENT, "%s", path);
    return rc == 0 ? value : 0;
}

/* jemalloc's page, which may be larger than the kernel's: 64 KiB on Debian's arm64. */
static size_t page_size(void)
{
    size_t value = 0, len = sizeof(value);
    cr_assert_eq(je_mallctl("arenas.page", &value, &len, NULL, 0), 0);
    return value;
}

/* Bytes in pages that jemalloc says the arena holds. */
static uint64_t held_by_jemalloc(unsigned arena)
{
    return (statistic(arena, "pactive") + statistic(arena, "pdirty") + statistic(arena, "pmuzzy")) *
           page_size();
}

static void assert_count_is_exact(const char *when)
{
    (void)arenas_allocated(); /* refreshes the statistics */
    uint64_t sum = 0;
    for (unsigned i = 0; i < account_arenas(); i++)
        sum += held_by_jemalloc(i);
    cr_assert_eq(account_committed(), sum, "%s: counted %zu KiB, held %zu KiB", when,
                 (size_t)(account_committed() / KiB), (size_t)(sum / KiB));
}

/* Random sizes, from a few bytes to megabytes; by thread, each with its own seed. */
struct worker {
    unsigned seed;
    unsigned steps;
    void *blocks[256];
};

static size_t random_size(unsigned *seed)
{
    unsigned r = (unsigned)rand_r(seed);
    size_t shift = r % 18 + 4; /* 16 B to 2 MiB and half as much again */
    return ((size_t)1 << shift) + (unsigned)rand_r(seed) % ((size_t)1 << (shift - 1));
}

static void *work(void *arg)
{
    struct worker *w = arg;
    thread_state.inside = true;
    for (unsigned i = 0; i < w->steps; i++) {
        unsigned at = (unsigned)rand_r(&w->seed) % ARRAY_LEN(w->blocks);
        size_t size = random_size(&w->seed);
        switch (rand_r(&w->seed) % 4) {
        case 0:
            free(w->blocks[at]);
            w->blocks[at] = NULL;
            break;
        case 1: {
            void *p = realloc(w->blocks[at], size);
            w->blocks[at] = p;
            break;
        }
        default:
            free(w->blocks[at]);
            w->blocks[at] = rand_r(&w->seed) % 8 ? malloc(size) : aligned_alloc(65536, size);
            memset(w->blocks[at], 1, size < 4096 ? size : 4096);
        }
    }
    return NULL;
}

static void release(struct worker *w)
{
    for (size_t i = 0; i < ARRAY_LEN(w->blocks); i++)
        free(w->blocks[i]);
    memset(w->blocks, 0, sizeof(w->blocks));
}

static void work_on_threads(struct worker *workers, size_t n, unsigned steps)
{
    pthread_t threads[8];
    for (size_t i = 0; i < n; i++) {
        workers[i].steps = steps;
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static struct worker workers[4] = {{.seed = 1}, {.seed = 2}, {.seed = 3}, {.seed = 4}};

Test(arenas, committed_is_what_jemalloc_holds_after_any_workload)
{
    assert_count_is_exact("at start");
    for (unsigned round = 0; round < 5; round++) {
        work_on_threads(workers, ARRAY_LEN(workers), 5000);
        assert_count_is_exact("after work");
        (void)arenas_purge(round * MiB);
        assert_count_is_exact("after a purge by amount");
        if (round % 2 == 1)
            release(&workers[round % ARRAY_LEN(workers)]);
        arenas_flush_thread_cache();
        assert_count_is_exact("after freeing");
    }
    for (size_t i = 0; i < ARRAY_LEN(workers); i++)
        release(&workers[i]);
    (void)arenas_purge(UINT64_MAX);
    assert_count_is_exact("after purging all");
}

Test(arenas, pages_read_are_what_jemalloc_says)
{
    struct arenas_pages pages;
    work_on_threads(workers, ARRAY_LEN(workers), 3000);
    release(&workers[0]);
    arenas_flush_thread_cache();
    (void)arenas_allocated();
    uint64_t active = 0, dirty = 0, page = page_size();
    for (unsigned i = 0; i < account_arenas(); i++) {
        active += statistic(i, "pactive") * page;
        dirty += (statistic(i, "pdirty") + statistic(i, "pmuzzy")) * page;
    }
    arenas_read(&pages);
    cr_expect_eq(pages.active, active);
    cr_expect_eq(pages.dirty, dirty);
    cr_expect_eq(pages.committed, active + dirty);
}

/* Leaves about `bytes` of free pages in pieces of `piece`, with as much in use between them. That
 * they were never touched makes no difference to any count. */
static void make_dirty(uint64_t bytes, size_t piece)
{
    size_t n = bytes / piece;
    char **blocks = calloc(2 * n, sizeof(*blocks));
    cr_assert_not_null(blocks);
    for (size_t i = 0; i < 2 * n; i++)
        cr_assert_not_null(blocks[i] = malloc(piece));
    for (size_t i = 0; i < 2 * n; i += 2)
        free(blocks[i]);
    arenas_flush_thread_cache();
    free(blocks);
}

static uint64_t dirty_now(void)
{
    struct arenas_pages pages;
    arenas_read(&pages);
    return pages.dirty;
}

/* Runs of pages up to `run` go as a whole. */
static void assert_purge_gives(uint64_t asked, uint64_t run)
{
    uint64_t dirty = dirty_now();
    uint64_t committed = account_committed();
    uint64_t gave = arenas_purge(asked);
    cr_assert_eq(gave, committed - account_committed(), "it tells what it gave");
    cr_assert_geq(gave, u64_min(asked, dirty), "asked %zu KiB of %zu, gave %zu",
                  (size_t)(asked / KiB), (size_t)(dirty / KiB), (size_t)(gave / KiB));
    cr_assert_leq(gave, 2 * asked + u64_max(MiB, 2 * run), "asked %zu KiB of %zu, gave %zu",
                  (size_t)(asked / KiB), (size_t)(dirty / KiB), (size_t)(gave / KiB));
}

Test(arenas, purge_gives_what_was_asked_and_not_much_more)
{
    const size_t pieces[] = {32 * KiB, 256 * KiB, 3 * MiB};
    const uint64_t asked[] = {64 * KiB, MiB, 5 * MiB, 20 * MiB, 60 * MiB, 100 * MiB};
    for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
        for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
            make_dirty(120 * MiB, pieces[p]);
            assert_purge_gives(asked[i], pieces[p]);
            (void)arenas_purge(UINT64_MAX);
        }
    }
}

Test(arenas, many_small_purges_do_not_give_all_at_once)
{
    make_dirty(128 * MiB, 128 * KiB);
    for (unsigned i = 0; i < 10; i++)
        assert_purge_gives(4 * MiB, 128 * KiB);
    cr_expect_gt(dirty_now(), 30 * MiB);
}

Test(arenas, purge_spans_arenas_where_one_has_too_little)
{
    work_on_threads(workers, ARRAY_LEN(workers), 4000);
    for (size_t i = 0; i < ARRAY_LEN(workers); i++)
        release(&workers[i]);
    arenas_flush_thread_cache();
    uint64_t dirty = dirty_now();
    cr_assert_gt(dirty, 8 * MiB);
    uint64_t asked = dirty - dirty / 8;
    cr_expect_geq(arenas_purge(asked), asked);
}

Test(arenas, purging_all_leaves_nothing)
{
    make_dirty(64 * MiB, 64 * KiB);
    cr_assert_geq(dirty_now(), 32 * MiB);
    uint64_t dirty = dirty_now();
    cr_expect_eq(arenas_purge(UINT64_MAX), dirty);
    cr_expect_eq(dirty_now(), 0u);
    cr_expect_eq(arenas_purge(UINT64_MAX), 0u);
    cr_expect_eq(arenas_purge(MiB), 0u);
}

static uint64_t resident(void)
{
    char text[128];
    long pages;
    cr_assert_gt(sys_read_file("/proc/self/statm", text, sizeof(text)), 0);
    cr_assert_eq(sscanf(text, "%*s %ld", &pages), 1);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

Test(arenas, purged_pages_leave_the_process)
{
    char *p = malloc(64 * MiB);
    cr_assert_not_null(p);
    memset(p, 1, 64 * MiB);
    uint64_t before = resident();
    free(p);
    (void)arenas_purge(UINT64_MAX);
    cr_expect_leq(resident(), before - 60 * MiB);
}

/* --- arenas of the program's own --- */

int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
int mallctlnametomib(const char *name, size_t *mib, size_t *miblen);
int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp, void *newp,
                 size_t newlen);

static unsigned create_arena(void)
{
    unsigned index = 0;
    size_t len = sizeof(index);
    cr_assert_eq(mallctl("arenas.create", &index, &len, NULL, 0), 0);
    return index;
}

static unsigned create_arena_by_mib(void)
{
    unsigned index = 0;
    size_t len = sizeof(index), mib[2], mib_len = ARRAY_LEN(mib);
    cr_assert_eq(mallctlnametomib("arenas.create", mib, &mib_len), 0);
    cr_assert_eq(mallctlbymib(mib, mib_len, &index, &len, NULL, 0), 0);
    return index;
}

static void assert_counted_and_purged(unsigned index)
{
    (void)arenas_purge(UINT64_MAX);
    uint64_t before = account_committed();
    void *p = je_mallocx(20 * MiB, arena_and_no_cache(index));
    cr_assert_not_null(p);
    cr_expect_geq(account_committed(), before + 20 * MiB);
    cr_expect_lt(index, account_arenas());
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

Test(arenas, count_stays_exact_when_arenas_are_destroyed)
{
    void *live = je_mallocx(64 * MiB, arena_and_no_cache(0));
    uint64_t before = account_committed();
    for (unsigned i = 0; i < 10; i++) {
        char name[32];
        unsigned index = create_arena();
        void *p = je_mallocx(5 * MiB, arena_and_no_cache(index));
        cr_assert_not_null(p);
        je_dallocx(p, arena_and_no_cache(index));
        snprintf(name, sizeof(name), "arena.%u.destroy", index);
        cr_assert_eq(mallctl(name, NULL, NULL, NULL, 0), 0);
    }
    (void)arenas_purge(UINT64_MAX);
    uint64_t after = account_committed();
    uint64_t apart = u64_max(before, after) - u64_min(before, after);
    cr_expect_leq(apart, MiB, "%zu KiB before, %zu KiB after", (size_t)(before / KiB),
                  (size_t)(after / KiB));
    je_dallocx(live, arena_and_no_cache(0));
}

static const size_t *active_pages(unsigned arena)
{
    return atomic_load(&account.active_pages[arena]);
}

Test(arenas, arena_that_comes_and_goes_between_two_looks_is_forgotten)
{
    char name[32];
    unsigned index = create_arena();
    snprintf(name, sizeof(name), "arena.%u.destroy", index);
    cr_assert_eq(active_pages(index), &account_new);
    cr_assert_eq(mallctl(name, NULL, NULL, NULL, 0), 0);
    arenas_find_new();
    cr_expect_null(active_pages(index));
    cr_assert_eq(create_arena(), index, "the index is used anew");
    arenas_find_new();
    cr_expect_not_null(active_pages(index));
}

/* jemalloc's default hooks, taken from an arena that has them: what the program builds on. */
static struct je_extent_hooks *default_hooks(void)
{
    struct je_extent_hooks *found = NULL;
    size_t len = sizeof(found);
    cr_assert_eq(mallctl("arena.0.extent_hooks", &found, &len, NULL, 0), 0);
    return found;
}

Test(arenas, arena_with_hooks_of_the_program_built_on_the_default_ones_is_not_counted)
{
    static struct je_extent_hooks own;
    struct je_extent_hooks *given = &own;
    unsigned index = 0;
    size_t len = sizeof(index);
    own = *default_hooks();
    cr_assert_eq(mallctl("arenas.create", &index, &len, &given, sizeof(given)), 0);
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

static void set_hooks(unsigned index, struct je_extent_hooks *given, bool by_mib)
{
    char name[48];
    size_t mib[3], len = ARRAY_LEN(mib);
    snprintf(name, sizeof(name), "arena.%u.extent_hooks", index);
    cr_assert_eq(mallctlnametomib(name, mib, &len), 0);
    int rc = by_mib ? mallctlbymib(mib, len, NULL, NULL, &given, sizeof(given))
                    : mallctl(name, NULL, NULL, &given, sizeof(given));
    cr_assert_eq(rc, 0);
}

/* A copy of the default hooks: pages go past what is counted here. */
static void set_own_hooks(unsigned index, bool by_mib)
{
    static struct je_extent_hooks own;
    struct je_extent_hooks *given = &own;
    own = *default_hooks();
    set_hooks(index, given, by_mib);
}

static void assert_hooks_set_later_are_like_those_given_at_creation(bool by_mib)
{
    struct arenas_pages before, in_use;
    unsigned index = create_arena();
    set_own_hooks(index, by_mib);
    arenas_find_new();
    make_dirty(8 * MiB, 64 * KiB);
    arenas_read(&before);
    void *p = je_mallocx(100 * MiB, arena_and_no_cache(index));
    cr_assert_not_null(p);
    arenas_read(&in_use);
    cr_expect_eq(in_use.committed, before.committed);
    cr_expect_eq(in_use.dirty, before.dirty, "%zu KiB free before, %zu KiB now",
                 (size_t)(before.dirty / KiB), (size_t)(in_use.dirty / KiB));
    cr_expect_geq(arenas_purge(UINT64_MAX), before.dirty);
    je_dallocx(p, arena_and_no_cache(index));
}

Test(arenas, hooks_of_the_program_set_later_end_the_counting)
{
    assert_hooks_set_later_are_like_those_given_at_creation(false);
    assert_hooks_set_later_are_like_those_given_at_creation(true);
}

/* With blocks in use, free pages and a reserve, from which it goes on to allocate. */
Test(arenas, arena_in_use_is_taken_out_of_the_count_and_in_again)
{
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
    set_own_hooks(index, false);
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

/* Together with others, or one arena would serve them all in turn. */
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

static void choose_decay(unsigned arena, ssize_t ms)
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
    use_arena(chosen, 100 * KiB);
    arenas_set_decay(300);
    cr_expect_eq(decay_of(chosen), 123456);
    cr_expect_eq(decay_of(other), 300);
    choose_decay(chosen, -1);
    choose_decay(other, 200000);
    uint64_t dirty = dirty_now();
    cr_assert_geq(dirty, 20 * MiB);
    cr_expect_geq(arenas_purge(dirty / 2), dirty / 2);
    cr_expect_eq(decay_of(chosen), -1);
    cr_expect_eq(decay_of(other), 200000);
    arenas_set_decay(200);
    cr_expect_eq(decay_of(0), 200);
    cr_expect_eq(decay_of(other), 200000);
    (void)arenas_purge(UINT64_MAX);
    cr_expect_eq(dirty_now(), 0u);
}

/* The program's own default for arenas made from then on. */
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

/* A thread that is not there was half through with a new time. */
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

/* Reading finds what new arenas hold, and leaves the rest to a look. */
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
