/* Pages of slabs on which no block is in use, given back while blocks around them are. */
#include "test_arenas.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);

/* 6 of a page to 2 of 7 pages. */
static const size_t sizes[] = {640, 896, 1280, 1792, 2560, 3584, 5120, 7168, 14336};

enum { KEPT_ONE_IN = 20, SET_MAX = 40000 };

struct set {
    size_t size, count;
    unsigned char *blocks[SET_MAX];
};
static struct set sets[ARRAY_LEN(sizes)];

static void need_layout(void)
{
    size_t page = 0;
    cr_assert_eq(je_mallctl("arenas.page", &page, &(size_t){sizeof(page)}, NULL, 0), 0);
    if (on_shared_jemalloc() || page != 4096)
        cr_skip_test("jemalloc's slabs cannot be read here");
}

static unsigned char mark(size_t i, size_t size)
{
    return (unsigned char)(i * 7 + size / 64 + 1);
}

static void check(const unsigned char *block, size_t i, size_t size)
{
    size_t at = 0;
    while (at < size && block[at] == mark(i, size))
        at++;
    cr_assert(at == size, "byte %zu of block %zu of %zu", at, i, size);
}

static void put(struct set *s, size_t i)
{
    cr_assert_not_null(s->blocks[i] = malloc(s->size));
    memset(s->blocks[i], mark(i, s->size), s->size);
}

static void take(struct set *s, size_t i)
{
    if (s->blocks[i] != NULL)
        check(s->blocks[i], i, s->size);
    free(s->blocks[i]);
    s->blocks[i] = NULL;
}

static void fill(struct set *s, size_t bytes)
{
    s->count = bytes / s->size;
    for (size_t i = 0; i < s->count; i++)
        if (s->blocks[i] == NULL)
            put(s, i);
}

static void thin_out(struct set *s, bool all)
{
    for (size_t i = 0; i < s->count; i++)
        if (all || i % KEPT_ONE_IN != 0)
            take(s, i);
}

static void make_holes(size_t bytes)
{
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        sets[i].size = sizes[i];
        fill(&sets[i], bytes);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        thin_out(&sets[i], false);
    arenas_flush_thread_cache();
    (void)arenas_purge(UINT64_MAX);
}

static void free_all(void)
{
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        thin_out(&sets[i], true);
}

/* One round over all slabs, which may take several calls. */
static uint64_t drop_all(void)
{
    uint64_t bytes = 0;
    bool all = false;
    for (unsigned calls = 0; !all && calls < 1000; calls++)
        bytes += arenas_drop_slabs(UINT64_MAX, &all);
    cr_assert(all, "they are left alone");
    return bytes;
}

/* The next call begins a round. */
static void end_round(void)
{
    (void)drop_all();
}

static uint64_t resident(void)
{
    char text[128];
    long pages;
    cr_assert_gt(sys_read_file("/proc/self/statm", text, sizeof(text)), 0);
    cr_assert_eq(sscanf(text, "%*s %ld", &pages), 1);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

Test(arenas, pages_of_slabs_leave_the_process_and_blocks_stay_as_they_are)
{
    need_layout();
    end_round();
    make_holes(16 * MiB);
    uint64_t before = resident(), committed = account_committed();
    uint64_t holes = arenas_slabs_free();
    cr_expect_geq(holes, ARRAY_LEN(sizes) * 4 * MiB);
    uint64_t given = drop_all();
    cr_expect_geq(given, holes / 2);
    cr_expect_leq(given, holes);
    cr_expect_leq(resident(), before - given + MiB);
    cr_expect_eq(account_committed(), committed, "they stay in use");
    cr_expect_eq(drop_all(), 0u, "what has gone is not there to be given back again");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        fill(&sets[i], 16 * MiB);
    free_all();
}

Test(arenas, slabs_give_what_was_asked_and_the_next_call_goes_on)
{
    need_layout();
    end_round();
    make_holes(16 * MiB);
    uint64_t sum = 0, first = 0;
    bool all = false;
    for (unsigned calls = 0; !all; calls++) {
        uint64_t given = arenas_drop_slabs(MiB, &all);
        cr_assert_leq(given, MiB + 64 * KiB);
        sum += given;
        first = calls == 0 ? given : first;
    }
    cr_expect_geq(first, MiB);
    cr_expect_geq(sum, 20 * MiB);
    cr_expect_eq(drop_all(), 0u, "all that there is has gone by then");
    free_all();
}

Test(arenas, full_slabs_and_empty_ones_give_nothing)
{
    need_layout();
    end_round();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        sets[i].size = sizes[i];
        fill(&sets[i], 8 * MiB);
    }
    uint64_t full = drop_all();
    free_all();
    arenas_flush_thread_cache();
    (void)arenas_purge(UINT64_MAX);
    cr_expect_leq(full, MiB, "%zu KiB of full slabs", (size_t)(full / KiB));
    cr_expect_leq(drop_all(), MiB);
}

static _Atomic bool end;

/* Threads that allocate, check and free, while pages of their slabs go all the time: few slabs, and
 * past the thread's cache, so that blocks are handed out just where pages go. */
struct churn {
    unsigned seed;
    size_t size;
    unsigned char *blocks[300];
};

static void replace(struct churn *c, size_t i, bool fill)
{
    if (c->blocks[i] != NULL) {
        check(c->blocks[i], i, c->size);
        je_dallocx(c->blocks[i], arena_and_no_cache(0));
        c->blocks[i] = NULL;
    } else if (fill) {
        c->blocks[i] = je_mallocx(c->size, arena_and_no_cache(0));
        cr_assert_not_null(c->blocks[i]);
        memset(c->blocks[i], mark(i, c->size), c->size);
    }
}

static void *churn(void *arg)
{
    struct churn *c = arg;
    thread_state.inside = true;
    while (!atomic_load(&end)) {
        size_t i = (unsigned)rand_r(&c->seed) % ARRAY_LEN(c->blocks);
        replace(c, i, rand_r(&c->seed) % 4 == 0); /* mostly holes */
    }
    for (size_t i = 0; i < ARRAY_LEN(c->blocks); i++)
        replace(c, i, false);
    return NULL;
}

/* Gives back so much beside these threads. */
static void drop_beside(void *(*body)(void *), void *args[], size_t n, uint64_t bytes)
{
    pthread_t threads[4];
    bool all;
    for (size_t i = 0; i < n; i++)
        pthread_create(&threads[i], NULL, body, args[i]);
    for (uint64_t given = 0; given < bytes;)
        given += arenas_drop_slabs(UINT64_MAX, &all);
    atomic_store(&end, true);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

Test(arenas, no_byte_is_lost_while_others_use_their_slabs)
{
    need_layout();
    static struct churn churns[3]; /* two of slabs of 28 KiB, and blocks that take their place */
    void *args[ARRAY_LEN(churns)];
    for (size_t i = 0; i < ARRAY_LEN(churns); i++) {
        churns[i] = (struct churn){.seed = (unsigned)i + 1, .size = (size_t)1792 << 2 * i};
        args[i] = &churns[i];
    }
    drop_beside(churn, args, ARRAY_LEN(args), 40 * MiB);
}

/* An arena with hooks that are built on the default ones, and see whether slabs are left alone in
 * the middle of what jemalloc is doing. */
static struct je_extent_hooks defaults;
static unsigned seen, left_alone;

static bool are_left_alone(void)
{
    bool all;
    (void)arenas_drop_slabs(UINT64_MAX, &all);
    return !all; /* they fit into one call */
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

static unsigned create_seeing_arena(void)
{
    static struct je_extent_hooks hooks;
    struct je_extent_hooks *given = &hooks, *found = NULL;
    unsigned index = 0;
    ssize_t at_once = 0;
    char name[40];
    cr_assert_eq(mallctl("arena.0.extent_hooks", &found, &(size_t){sizeof(found)}, NULL, 0), 0);
    hooks = defaults = *found;
    hooks.alloc = see_alloc;
    hooks.purge_forced = see_purge;
    hooks.decommit = NULL;
    hooks.purge_lazy = NULL;
    cr_assert_eq(mallctl("arenas.create", &index, &(size_t){sizeof(index)}, &given, sizeof(given)),
                 0);
    snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", index);
    cr_assert_eq(mallctl(name, NULL, NULL, &at_once, sizeof(at_once)), 0);
    cr_assert_not(are_left_alone());
    return index;
}

/* Every time since the last call. */
static void assert_left_alone(void)
{
    cr_expect_gt(seen, 0u);
    cr_expect_eq(left_alone, seen);
    cr_expect_not(are_left_alone());
    seen = left_alone = 0;
}

static void control(unsigned arena, const char *what)
{
    char name[32];
    snprintf(name, sizeof(name), "arena.%u.%s", arena, what);
    cr_assert_eq(mallctl(name, NULL, NULL, NULL, 0), 0);
}

/* jemalloc takes its slabs out of their bins first. */
Test(arenas, slabs_are_left_alone_while_an_arena_is_reset_and_ended)
{
    need_layout();
    unsigned index = create_seeing_arena();
    for (unsigned i = 0; i < 100; i++)
        cr_assert_not_null(je_mallocx(2560, arena_and_no_cache(index)));
    seen = left_alone = 0;
    control(index, "reset");
    assert_left_alone();
    control(index, "destroy");
    assert_left_alone();
}

/* Of jemalloc's batch_alloc_packet_t. */
struct batch {
    void **ptrs;
    size_t count, size;
    int flags;
};

/* Blocks are taken out of new slabs before these are in a bin. */
Test(arenas, slabs_are_left_alone_while_a_batch_is_taken_out_of_them)
{
    need_layout();
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
    control(index, "destroy");
}

/* Others may be at it, or keep it from it, at the moment of the fork. */
Test(arenas, a_forked_child_gives_back_pages_of_slabs)
{
    need_layout();
    end_round();
    make_holes(8 * MiB);
    je_slabs_leave_alone();
    pid_t child = fork();
    cr_assert_neq(child, -1);
    if (child == 0) {
        thread_state.inside = true;
        arenas_fork_child(); /* what another thread of the parent held */
        bool all;
        _exit(arenas_drop_slabs(10 * MiB, &all) >= 10 * MiB ? 0 : 1);
    }
    je_slabs_go_on();
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    free_all();
}

/* Its pages come from here until then. */
Test(arenas, slabs_of_an_arena_are_left_alone_once_the_program_gives_it_hooks)
{
    need_layout();
    static struct je_extent_hooks own;
    static void *blocks[4000];
    struct je_extent_hooks *given = &own, *found = NULL;
    unsigned index = 0;
    char name[40];
    cr_assert_eq(mallctl("arenas.create", &index, &(size_t){sizeof(index)}, NULL, 0), 0);
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        memset(blocks[i] = je_mallocx(2560, arena_and_no_cache(index)), 1, 2560);
    snprintf(name, sizeof(name), "arena.%u.extent_hooks", index);
    cr_assert_eq(mallctl(name, &found, &(size_t){sizeof(found)}, NULL, 0), 0);
    own = *found;
    cr_assert_eq(mallctl(name, NULL, NULL, &given, sizeof(given)), 0);
    end_round();
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        if (i % 8 != 0)
            je_dallocx(blocks[i], arena_and_no_cache(index));
    cr_expect_leq(drop_all(), 128 * KiB);
    cr_assert_eq(mallctl(name, NULL, NULL, &found, sizeof(found)), 0);
    cr_expect_geq(drop_all(), 6 * MiB, "and not when it has the default ones again");
}
