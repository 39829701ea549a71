/* Pages of slabs on which no block is in use, given back while blocks around them are. */
#include "test_arenas.h"

#include "inside.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* From 6 blocks in one page to 2 blocks in 7 pages. */
static const size_t sizes[] = {640, 896, 1280, 1792, 2560, 3584, 5120, 7168, 14336};

enum { KEPT_ONE_IN = 20, SET_MAX = 40000 };

struct set {
    size_t size, count;
    unsigned char *blocks[SET_MAX];
};
static struct set sets[ARRAY_LEN(sizes)];

void need_slabs(void)
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

void write_block(unsigned char *block, size_t i, size_t size)
{
    memset(block, mark(i, size), size);
}

void check_block(const unsigned char *block, size_t i, size_t size)
{
    size_t at = 0;
    while (at < size && block[at] == mark(i, size))
        at++;
    cr_assert(at == size, "byte %zu of block %zu of %zu", at, i, size);
}

static void put(struct set *s, size_t i)
{
    cr_assert_not_null(s->blocks[i] = malloc(s->size));
    write_block(s->blocks[i], i, s->size);
}

static void take(struct set *s, size_t i)
{
    if (s->blocks[i] != NULL)
        check_block(s->blocks[i], i, s->size);
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

uint64_t drop_slabs(void)
{
    struct slabs_given given = {0};
    uint64_t bytes = 0;
    while (!given.all) {
        given = arenas_drop_slabs(UINT64_MAX);
        cr_assert_not(given.left_alone);
        bytes += given.bytes;
    }
    return bytes;
}

void end_slabs_round(void)
{
    (void)drop_slabs();
}

Test(arenas, pages_of_slabs_leave_the_process_and_blocks_stay_as_they_are)
{
    need_slabs();
    end_slabs_round();
    make_holes(16 * MiB);
    uint64_t before = resident(), committed = account_committed();
    uint64_t holes = arenas_slabs_free();
    cr_expect_geq(holes, ARRAY_LEN(sizes) * 4 * MiB);
    uint64_t given = drop_slabs();
    cr_expect_geq(given, holes / 2);
    cr_expect_leq(given, holes);
    cr_expect_leq(resident(), before - given + MiB);
    cr_expect_eq(account_committed(), committed, "they stay in use");
    cr_expect_eq(drop_slabs(), 0u, "what has gone is not there to be given back again");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        fill(&sets[i], 16 * MiB);
    free_all();
}

Test(arenas, slabs_give_what_was_asked_and_the_next_call_goes_on)
{
    need_slabs();
    end_slabs_round();
    make_holes(16 * MiB);
    uint64_t sum = 0, most = 0;
    for (bool all = false; !all;) {
        struct slabs_given given = arenas_drop_slabs(MiB);
        cr_assert_leq(given.bytes, MiB + 64 * KiB);
        all = given.all;
        sum += given.bytes;
        most = u64_max(most, given.bytes);
    }
    cr_expect_geq(most, MiB);
    cr_expect_geq(sum, 20 * MiB);
    cr_expect_eq(drop_slabs(), 0u, "all that there is has gone by then");
    free_all();
}

Test(arenas, full_slabs_and_empty_ones_give_nothing)
{
    need_slabs();
    end_slabs_round();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        sets[i].size = sizes[i];
        fill(&sets[i], 8 * MiB);
    }
    uint64_t full = drop_slabs();
    free_all();
    arenas_flush_thread_cache();
    (void)arenas_purge(UINT64_MAX);
    cr_expect_leq(full, MiB, "%zu KiB of full slabs", (size_t)(full / KiB));
    cr_expect_leq(drop_slabs(), MiB);
}

/* At the moment of the fork other threads may be giving pages back, or keep slabs from being
 * touched. */
Test(arenas, a_forked_child_gives_back_pages_of_slabs)
{
    need_slabs();
    end_slabs_round();
    make_holes(8 * MiB);
    slabs_leave_alone();
    pid_t child = fork();
    cr_assert_neq(child, -1);
    if (child == 0) {
        thread_state.inside = true;
        slabs_fork_child(); /* releases what another thread of the parent held */
        uint64_t bytes = 0;
        for (unsigned calls = 0; calls < 1000; calls++)
            bytes += arenas_drop_slabs(UINT64_MAX).bytes;
        _exit(bytes >= 10 * MiB ? 0 : 1);
    }
    slabs_go_on();
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    free_all();
}
