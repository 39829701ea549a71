/*
 * Counting and purging with the real jemalloc inside: this program is itself allocated by it.
 *
 * Thread caches, slabs and metadata are left as they are: only pages are compared.
 */
#include "test_arenas.h"

#include "inside.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int arena_and_no_cache(unsigned index)
{
    return (int)((index + 1) << 20) | (1 << 8); /* MALLOCX_ARENA, MALLOCX_TCACHE_NONE */
}

void use_arena(unsigned index, size_t size)
{
    void *blocks[256];
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        cr_assert_not_null(blocks[i] = je_mallocx(size, arena_and_no_cache(index)));
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        je_dallocx(blocks[i], arena_and_no_cache(index));
}

bool on_shared_jemalloc(void)
{
    return !inside_clock_ahead(0);
}

bool is_about(uint64_t value, uint64_t expected)
{
    uint64_t slack = on_shared_jemalloc() ? 64 * KiB : 0;
    return u64_max(value, expected) - u64_min(value, expected) <= slack;
}

static void need_purging_by_amount(void)
{
    if (on_shared_jemalloc())
        cr_skip_test("the shared jemalloc purges whole arenas");
}

/* What a shared jemalloc took before it had hooks counts as committed until it has been used once;
 * this uses it. */
static void use_first_extents(void)
{
    const size_t sizes[] = {16 * KiB, 8 * KiB, 4 * KiB}; /* the smaller sizes fill what is left */
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        use_arena(0, sizes[i]);
        (void)arenas_purge(UINT64_MAX);
    }
}

/* Keeps looks and ageing away: only this file purges. */
static void hold_still(void)
{
    cr_assert(runtime_ready());
    lock_take(&look.lock);
    thread_state.inside = true;
    arenas_set_decay(-1);
    use_first_extents();
}

static void let_go(void)
{
    thread_state.inside = false;
    lock_release(&look.lock);
}

TestSuite(arenas, .init = hold_still, .fini = let_go, .timeout = 300);

/* 0 for an arena that no thread has needed yet. */
size_t statistic(unsigned arena, const char *name)
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

/* Bytes in pages that the arena holds, by jemalloc's statistics. */
static uint64_t held_by_jemalloc(unsigned arena)
{
    return (statistic(arena, "pactive") + statistic(arena, "pdirty") + statistic(arena, "pmuzzy")) *
           page_size();
}

void assert_count_is_exact(const char *when)
{
    (void)arenas_allocated(); /* refreshes the statistics */
    uint64_t sum = 0;
    for (unsigned i = 0; i < account_arenas(); i++)
        sum += held_by_jemalloc(i);
    cr_assert(is_about(account_committed(), sum), "%s: counted %zu KiB, held %zu KiB", when,
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
    cr_expect(is_about(pages.dirty, dirty));
    cr_expect(is_about(pages.committed, active + dirty));
}

/* Leaves about `bytes` of free pages in pieces of `piece`, with as much in use between them. That
 * these pages were never touched makes no difference to any count. */
void make_dirty(uint64_t bytes, size_t piece)
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

uint64_t dirty_now(void)
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
    need_purging_by_amount();
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
    need_purging_by_amount();
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
    cr_expect(is_about(arenas_purge(UINT64_MAX), dirty));
    cr_expect(is_about(dirty_now(), 0));
    cr_expect_eq(arenas_purge(UINT64_MAX), 0u);
    cr_expect_eq(arenas_purge(MiB), 0u);
}

uint64_t resident(void)
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
