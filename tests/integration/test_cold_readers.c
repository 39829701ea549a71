/*
 * Files are read from a disk beside a heap that is steady near the limit. Page cache on its way
 * from the disk cannot be dropped yet, and so stops growth earlier (read_ahead.h); but a heap that
 * does not grow must not notice.
 */
#include "harness.h"

#include <criterion/criterion.h>

TestSuite(cold_readers, .init = harness_begin, .fini = harness_end);

enum { TIMEOUT_S = 300, READERS = 2, PASSES = 6, ROUNDS = 100, LIMIT_MIB = 320, PURGES_MORE = 5 };

struct setting {
    const struct box *box;
    struct run heap, readers[READERS];
    double passes[READERS]; /* before the heap was there */
    double rounds;          /* likewise */
    uint64_t page_cache;    /* the most seen */
};

static void start_readers(struct setting *s)
{
    for (int i = 0; i < READERS; i++)
        s->readers[i] = run_start((struct run_spec){
            .box = s->box,
            .argv = ARGV(harness_program("pagecache"), "--cold", "--mib", "40", "--heap-mib", "0",
                         "--passes", "1000000", "--dir", harness_file_dir())});
}

static void see_page_cache(struct setting *s)
{
    uint64_t now = box_page_cache(s->box);
    s->page_cache = now > s->page_cache ? now : s->page_cache;
}

static bool readers_read(void *arg)
{
    struct setting *s = arg;
    see_page_cache(s);
    for (int i = 0; i < READERS; i++) {
        if (run_number(&s->readers[i], "read") < 3)
            return false;
    }
    return true;
}

/* Some 267 of 320 MiB in use: LOW is 5 MiB away, and so is less than a window of 8 MiB. Up to the
 * limit there is room for two such windows for each reader, the one being read and the next: under
 * a smaller limit the kernel may kill (docs/cannot.md). */
static void start_heap(struct setting *s)
{
    s->heap = run_start((struct run_spec){
        .box = s->box,
        .preload = harness_library(),
        .argv = ARGV(harness_program("steady"), "--live-mib", "262", "--window-mib", "4")});
}

static bool heap_is_there(void *arg)
{
    struct setting *s = arg;
    return s->heap.ended || run_has_printed(&s->heap, "rounds=");
}

/* Starts the readers first, as they write their files: that beside a heap at the line is another
 * matter. */
static struct setting begin(bool with_readers)
{
    struct setting s = {.box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB})};
    if (with_readers) {
        start_readers(&s);
        cr_assert(eventually(TIMEOUT_S, readers_read, &s), "%s", run_describe(&s.readers[0]));
        if (s.page_cache < 8 * MIB)
            cr_skip_test("files in %s are not in the page cache of their cgroup",
                         harness_file_dir());
    }
    start_heap(&s);
    cr_assert(eventually(TIMEOUT_S, heap_is_there, &s), "%s", run_describe(&s.heap));
    s.rounds = run_number(&s.heap, "rounds");
    for (int i = 0; with_readers && i < READERS; i++)
        s.passes[i] = run_number(&s.readers[i], "read");
    return s;
}

/* Enough has been read, and enough of the heap replaced, beside each other. */
static bool has_seen_enough(void *arg)
{
    struct setting *s = arg;
    for (int i = 0; i < READERS && s->readers[i].pid > 0; i++) {
        if (run_number(&s->readers[i], "read") < s->passes[i] + PASSES)
            return box_oom_kills(s->box) > 0;
    }
    return run_number(&s->heap, "rounds") >= s->rounds + ROUNDS || box_oom_kills(s->box) > 0;
}

static void finish(struct setting *s)
{
    cr_expect(eventually(TIMEOUT_S, has_seen_enough, s), "%s", run_describe(&s->heap));
    run_stop(&s->heap);
    for (int i = 0; i < READERS && s->readers[i].pid > 0; i++)
        run_stop(&s->readers[i]);
    expect_survived(s->box, &s->heap);
}

/* Purges per hundred rounds, over the heap's whole run. */
static double purges_in(struct setting *s)
{
    return run_number(&s->heap, "purges") * 100 / run_number(&s->heap, "rounds");
}

Test(cold_readers, beside_them_a_steady_heap_is_neither_purged_nor_asked_nor_held)
{
    struct setting alone = begin(false);
    finish(&alone);
    struct setting beside = begin(true);
    finish(&beside);
    cr_expect(purges_in(&beside) <= purges_in(&alone) + PURGES_MORE, "%.1f alone, beside: %s",
              purges_in(&alone), run_describe(&beside.heap));
    cr_expect(run_number(&beside.heap, "calls") == 0, "%s", run_describe(&beside.heap));
    cr_expect(run_number(&beside.heap, "waited_ms") == 0, "%s", run_describe(&beside.heap));
    cr_expect(run_number(&beside.heap, "level") == 0, "%s", run_describe(&beside.heap));
}
