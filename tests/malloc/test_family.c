/* The malloc family as a program meets it: sizes, alignments and failures at their edges. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* C23 and jemalloc have these; the C library's headers may not. */
void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t alignment, size_t size);
void cfree(void *ptr);

/* Larger than any object may be, or than the address space: no allocator can serve these. */
static const size_t impossible[] = {PTRDIFF_MAX - 4096, PTRDIFF_MAX,  (size_t)PTRDIFF_MAX + 1,
                                    SIZE_MAX - 4096,    SIZE_MAX - 1, SIZE_MAX};

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static bool aligned(const void *p, size_t alignment)
{
    return ((uintptr_t)p & (alignment - 1)) == 0;
}

static bool all_bytes(const char *p, char value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != value)
            return false;
    return true;
}

static void assert_no_memory(void *p, const char *what, size_t size)
{
    cr_assert_null(p, "%s(%zx)", what, size);
    cr_assert_eq(errno, ENOMEM, "%s(%zx): errno %d", what, size, errno);
    errno = 0;
}

/* --- sizes --- */

Test(family, size_0_gives_blocks_of_their_own)
{
    void *a = malloc(0), *b = malloc(0), *c = calloc(0, 8), *d = calloc(8, 0);
    void *e = realloc(NULL, 0);
    cr_assert(a != NULL && b != NULL && c != NULL && d != NULL && e != NULL);
    cr_expect(a != b && b != c && c != d && d != e);
    free(a), free(b), free(c), free(d), free(e);
}

Test(family, blocks_are_aligned_for_any_type_and_keep_their_bytes)
{
    enum { BLOCKS = 3000 };
    static char *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(i);
        cr_assert_not_null(blocks[i]);
        cr_assert(i < 16 || aligned(blocks[i], 16), "%zu", i);
        cr_assert_geq(malloc_usable_size(blocks[i]), i);
        memset(blocks[i], (int)(i & 0x7f), i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        cr_assert(all_bytes(blocks[i], (char)(i & 0x7f), i), "%zu", i);
        free(blocks[i]);
    }
}

Test(family, impossible_sizes_fail_with_enomem)
{
    char *kept = malloc(100);
    memset(kept, 'k', 100);
    for (size_t i = 0; i < LEN(impossible); i++) {
        volatile size_t size = impossible[i];
        errno = 0;
        assert_no_memory(malloc(size), "malloc", size);
        assert_no_memory(calloc(1, size), "calloc", size);
        assert_no_memory(calloc(size, 1), "calloc", size);
        assert_no_memory(realloc(NULL, size), "realloc", size);
        assert_no_memory(realloc(kept, size), "realloc", size);
        assert_no_memory(reallocarray(kept, size, 1), "reallocarray", size);
        assert_no_memory(aligned_alloc(64, size), "aligned_alloc", size);
        assert_no_memory(memalign(64, size), "memalign", size);
        assert_no_memory(valloc(size), "valloc", size);
        assert_no_memory(pvalloc(size), "pvalloc", size);
        void *untouched = kept;
        cr_assert_eq(posix_memalign(&untouched, 64, size), ENOMEM);
        cr_assert_eq(untouched, kept);
        cr_assert_eq(errno, 0, "posix_memalign leaves errno alone");
    }
    cr_expect(all_bytes(kept, 'k', 100), "realloc that fails leaves the block");
    free(kept);
}

Test(family, allocation_goes_on_after_impossible_requests)
{
    for (unsigned i = 0; i < 1000; i++) {
        volatile size_t size = impossible[i % LEN(impossible)];
        cr_assert_null(malloc(size));
        char *p = malloc(100000);
        cr_assert_not_null(p);
        memset(p, 1, 100000);
        free(p);
    }
}

Test(family, products_that_overflow_fail_with_enomem)
{
    const size_t half = (size_t)1 << 32;
    const size_t factors[][2] = {{half, half},    {half + 1, half},      {SIZE_MAX, 2},
                                 {2, SIZE_MAX},   {SIZE_MAX / 2 + 1, 2}, {SIZE_MAX, SIZE_MAX},
                                 {half, half + 1}};
    char *kept = malloc(100);
    memset(kept, 'k', 100);
    for (size_t i = 0; i < LEN(factors); i++) {
        volatile size_t a = factors[i][0], b = factors[i][1];
        errno = 0;
        assert_no_memory(calloc(a, b), "calloc", a);
        assert_no_memory(reallocarray(kept, a, b), "reallocarray", a);
        assert_no_memory(reallocarray(NULL, a, b), "reallocarray", a);
    }
    cr_expect(all_bytes(kept, 'k', 100));
    free(kept);
}

Test(family, calloc_clears_memory_that_was_used_before)
{
    const size_t sizes[] = {1, 8, 100, 4096, 70000, 300000, 5 << 20};
    for (unsigned round = 0; round < 20; round++)
        for (size_t i = 0; i < LEN(sizes); i++) {
            char *p = malloc(sizes[i]);
            memset(p, 0xff, sizes[i]);
            free(p);
            p = calloc(1, sizes[i]);
            cr_assert(all_bytes(p, 0, sizes[i]), "%zu bytes", sizes[i]);
            memset(p, 0xff, sizes[i]);
            free(p);
        }
}

/* --- realloc --- */

Test(family, realloc_keeps_what_fits)
{
    const size_t sizes[] = {1, 16, 17, 100, 4000, 4096, 20000, 3 << 20, 40, 9 << 20, 1000, 1};
    char *p = malloc(1);
    size_t before = 1;
    *p = 'x';
    for (size_t i = 0; i < LEN(sizes); i++) {
        p = realloc(p, sizes[i]);
        cr_assert_not_null(p);
        cr_assert(all_bytes(p, 'x', before < sizes[i] ? before : sizes[i]), "to %zu", sizes[i]);
        memset(p, 'x', sizes[i]);
        before = sizes[i];
    }
    free(p);
}

Test(family, realloc_to_0_frees_and_returns_null_as_glibc_does)
{
    volatile size_t none = 0;
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 2000; i++) {
        void *p = malloc(100000);
        cr_assert_null(realloc(p, none));
    }
    cr_expect_lt(mallinfo2().uordblks, before + (20 << 20), "nothing leaks");
    cr_expect_null(reallocarray(malloc(10), none, 8));
}

/* --- alignment --- */

Test(family, every_power_of_two_can_be_asked_for)
{
    const size_t sizes[] = {0, 1, 24, 4096, 100000, 3 << 20};
    for (size_t alignment = 1; alignment <= (size_t)64 << 20; alignment *= 2)
        for (size_t i = 0; i < LEN(sizes); i++) {
            void *p = aligned_alloc(alignment, sizes[i]), *q = memalign(alignment, sizes[i]), *r;
            cr_assert(p != NULL && aligned(p, alignment), "aligned_alloc(%zu)", alignment);
            cr_assert(q != NULL && aligned(q, alignment), "memalign(%zu)", alignment);
            cr_assert_geq(malloc_usable_size(p), sizes[i]);
            cr_assert_geq(malloc_usable_size(q), sizes[i]);
            if (alignment >= sizeof(void *)) {
                cr_assert_eq(posix_memalign(&r, alignment, sizes[i]), 0);
                cr_assert(aligned(r, alignment), "posix_memalign(%zu)", alignment);
                free(r);
            }
            free(p), free(q);
        }
}

Test(family, posix_memalign_refuses_other_alignments_and_touches_nothing)
{
    const size_t wrong[] = {
        0, 1, 2, 3, 4, 5, 7, 9, 12, 24, 48, 4095, 4097, SIZE_MAX, (size_t)PTRDIFF_MAX};
    for (size_t i = 0; i < LEN(wrong); i++) {
        volatile size_t alignment = wrong[i];
        int mark;
        void *p = &mark;
        errno = 77;
        cr_expect_eq(posix_memalign(&p, alignment, 64), EINVAL, "%zu", wrong[i]);
        cr_expect_eq(p, &mark, "%zu", wrong[i]);
        cr_expect_eq(errno, 77, "%zu", wrong[i]);
    }
}

Test(family, posix_memalign_of_0_bytes_can_be_freed)
{
    void *p = (void *)1;
    cr_assert_eq(posix_memalign(&p, 64, 0), 0);
    cr_expect_neq(p, (void *)1);
    free(p);
}

Test(family, aligned_alloc_refuses_what_is_no_power_of_two)
{
    const size_t wrong[] = {0, 3, 12, 100, 4095, SIZE_MAX};
    for (size_t i = 0; i < LEN(wrong); i++) {
        volatile size_t alignment = wrong[i];
        errno = 0;
        cr_expect_null(aligned_alloc(alignment, 64), "%zu", wrong[i]);
        cr_expect_eq(errno, EINVAL, "%zu", wrong[i]);
    }
}

Test(family, aligned_alloc_takes_sizes_that_are_no_multiple)
{
    void *p = aligned_alloc(64, 100);
    cr_expect(p != NULL && aligned(p, 64));
    free(p);
}

Test(family, memalign_rounds_up_to_a_power_of_two_as_glibc_does)
{
    const size_t pairs[][2] = {{0, 1}, {1, 1}, {3, 4}, {24, 32}, {100, 128}, {4097, 8192}};
    for (size_t i = 0; i < LEN(pairs); i++) {
        volatile size_t alignment = pairs[i][0];
        void *p = memalign(alignment, 1000);
        cr_assert(p != NULL && aligned(p, pairs[i][1]), "%zu", pairs[i][0]);
        free(p);
    }
}

Test(family, memalign_beyond_the_address_space_fails)
{
    volatile size_t half = SIZE_MAX / 2 + 1, most = SIZE_MAX;
    errno = 0;
    cr_expect_null(memalign(half, 1));
    cr_expect_eq(errno, ENOMEM);
    cr_expect_null(memalign(half + 1, 1));
    cr_expect_eq(errno, EINVAL);
    cr_expect_null(memalign(most, 1));
    cr_expect_eq(errno, EINVAL);
}

Test(family, valloc_and_pvalloc_give_whole_pages)
{
    const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000};
    for (size_t i = 0; i < LEN(sizes); i++) {
        void *v = valloc(sizes[i]), *p = pvalloc(sizes[i]);
        size_t whole = (sizes[i] + page() - 1) / page() * page();
        cr_assert(v != NULL && aligned(v, page()), "valloc(%zu)", sizes[i]);
        cr_assert(p != NULL && aligned(p, page()), "pvalloc(%zu)", sizes[i]);
        cr_assert_geq(malloc_usable_size(v), sizes[i]);
        cr_assert_geq(malloc_usable_size(p), whole);
        free(v), free(p);
    }
}

/* --- freeing and asking --- */

Test(family, null_is_freed_by_every_name)
{
    free(NULL);
    cfree(NULL);
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 64, 10);
    cr_expect_eq(malloc_usable_size(NULL), 0u);
}

Test(family, blocks_are_freed_by_every_name)
{
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < 1000; i++) {
        free_sized(malloc(50000), 50000);
        free_sized(calloc(1000, 50), 50000);
        free_sized(realloc(malloc(10), 50000), 50000);
        free_aligned_sized(aligned_alloc(4096, 50000), 4096, 50000);
        cfree(malloc(50000));
        free_sized(malloc(0), 0);
    }
    cr_expect_lt(mallinfo2().uordblks, before + (20 << 20), "nothing leaks");
}

Test(family, usable_bytes_can_be_used)
{
    for (size_t size = 1; size < 200000; size += size / 3 + 1) {
        char *p = malloc(size);
        size_t usable = malloc_usable_size(p);
        memset(p, 'u', usable);
        p = realloc(p, usable + 1);
        cr_assert(all_bytes(p, 'u', usable), "%zu", size);
        free(p);
    }
}

static void *free_them(void *arg)
{
    void **blocks = arg;
    for (size_t i = 0; blocks[i] != NULL; i++)
        free(blocks[i]);
    return NULL;
}

Test(family, blocks_may_be_freed_by_another_thread)
{
    enum { BLOCKS = 20000 };
    static void *blocks[BLOCKS + 1];
    for (unsigned round = 0; round < 5; round++) {
        pthread_t thread;
        for (size_t i = 0; i < BLOCKS; i++)
            blocks[i] = malloc(i % 2000);
        cr_assert_eq(pthread_create(&thread, NULL, free_them, blocks), 0);
        pthread_join(thread, NULL);
    }
}

/* --- glibc's additions --- */

static long resident_pages(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert(f != NULL && fscanf(f, "%*d %ld", &pages) == 1);
    fclose(f);
    return pages;
}

Test(family, malloc_trim_tells_whether_pages_went)
{
    free(memset(malloc(32 << 20), 1, 32 << 20));
    cr_expect_eq(malloc_trim(0), 1);
    cr_expect_lt(mallinfo2().keepcost, (size_t)4 << 20);
}

/* Frees the blocks around some that stay. */
Test(family, malloc_trim_gives_back_pages_between_blocks)
{
    enum { N = 20000, SIZE = 2560 };
    static void *blocks[N];
#ifdef __x86_64__
    bool can = dlopen("libjemalloc.so.2", RTLD_LAZY | RTLD_NOLOAD) == NULL;
#else
    bool can = false;
#endif
    if (!can)
        cr_skip_test("jemalloc's slabs cannot be read here");
    for (size_t i = 0; i < N; i++)
        blocks[i] = memset(malloc(SIZE), 1, SIZE);
    for (size_t i = 0; i < N; i++)
        if (i % 8 != 0)
            free(blocks[i]);
    long before = resident_pages();
    cr_expect_eq(malloc_trim(0), 1);
    cr_expect_leq(resident_pages(), before - 6000, "of 12,200 pages");
    for (size_t i = 0; i < N; i += 8) {
        cr_expect_eq(*(char *)blocks[i] + ((char *)blocks[i])[SIZE - 1], 2);
        free(blocks[i]);
    }
}

Test(family, mallinfo_counts_bytes_in_use_and_free)
{
    struct mallinfo2 before = mallinfo2();
    void *p = malloc(100 << 20);
    struct mallinfo2 with = mallinfo2();
    cr_expect_geq(with.uordblks, before.uordblks + (100 << 20));
    cr_expect_geq(with.arena, with.uordblks);
    struct mallinfo old = mallinfo();
    cr_expect_geq(old.uordblks, 100 << 20);
    free(p);
    cr_expect_lt(mallinfo2().uordblks, with.uordblks);
}

Test(family, mallinfo_shows_counts_beyond_its_fields_as_the_largest)
{
    void *p = malloc((size_t)5 << 30); /* never touched */
    if (p == NULL)
        cr_skip_test("no 5 GiB of address space");
    struct mallinfo old = mallinfo();
    cr_expect_eq(old.uordblks, INT32_MAX);
    cr_expect_gt(mallinfo2().uordblks, (size_t)5 << 30);
    free(p);
}

Test(family, malloc_info_writes_a_document)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    cr_expect_eq(malloc_info(1, f), EINVAL);
    cr_expect_eq(malloc_info(0, f), 0);
    fclose(f);
    cr_expect_eq(strncmp(text, "<malloc version=\"1\">", 20), 0, "%s", text);
    cr_expect_not_null(strstr(text, "</malloc>\n"));
    free(text);
}

Test(family, mallopt_accepts_what_it_cannot_use)
{
    cr_expect_eq(mallopt(M_ARENA_MAX, 1), 1);
    cr_expect_eq(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
    cr_expect_eq(mallopt(-12345, 0), 1);
}

/* Databases do this: address space does not count until it is used. */
Test(family, more_than_the_machine_has_can_be_reserved)
{
    FILE *f = fopen("/proc/sys/vm/overcommit_memory", "r");
    int mode = 0;
    cr_assert_eq(f != NULL && fscanf(f, "%d", &mode) == 1, true);
    fclose(f);
    if (mode == 2)
        cr_skip_test("the kernel commits no more than there is");
    size_t size = 4 * (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    char *p = malloc(size);
    cr_assert_not_null(p);
    p[0] = p[size - 1] = 1;
    free(p);
}

Test(family, what_libc_allocates_can_be_freed)
{
    char *line = NULL, *text = NULL;
    size_t len = 0;
    FILE *f = fopen("/proc/self/status", "r");
    cr_assert_not_null(f);
    cr_expect_gt(getline(&line, &len, f), 0);
    fclose(f);
    cr_expect_gt(asprintf(&text, "%s", "text"), 0);
    free(line), free(text);
    free(strdup("x"));
    free(realpath("/", NULL));
    free(getcwd(NULL, 0));
}
