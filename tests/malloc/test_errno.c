/* errno belongs to the program: success and free() leave it alone, also while pages are purged. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <plimsoll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/types.h>

#define MIB ((size_t)1 << 20)

int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
void *mallocx(size_t size, int flags);

enum { MARK = 4711 };

/* Uses more than the limit allows. */
static void press(void)
{
    char *kept = malloc(96 * MIB);
    cr_assert_not_null(kept);
    memset(kept, 1, 96 * MIB);
    cr_assert_eq(plim_set_limit(64 * MIB), 0);
    free(malloc(2 * MIB)); /* makes a look */
    cr_assert_geq(plim_level(), PLIM_MEDIUM);
}

/* Makes every free give its pages back at once. */
static void purge_at_once(void)
{
    unsigned arenas = 0;
    size_t len = sizeof(arenas);
    cr_assert_eq(mallctl("arenas.narenas", &arenas, &len, NULL, 0), 0);
    for (unsigned i = 0; i < arenas; i++) {
        char name[64];
        ssize_t ms = 0;
        snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", i);
        (void)mallctl(name, NULL, NULL, &ms, sizeof(ms));
    }
}

static const size_t sizes[] = {0,      8,       1000,    5000,    20000,
                               100000, 1000000, 2 * MIB, 5 * MIB, 20 * MIB};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void assert_free_keeps_errno(void)
{
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < SIZES; i++) {
            char *p = malloc(sizes[i]);
            cr_assert_not_null(p);
            memset(p, 1, sizes[i]);
            errno = MARK;
            free(p);
            cr_assert_eq(errno, MARK, "%zu bytes: %d", sizes[i], errno);
        }
}

static void assert_success_keeps_errno(void)
{
    for (unsigned i = 0; i < SIZES; i++) {
        void *p, *blocks[6];
        errno = MARK;
        blocks[0] = malloc(sizes[i]);
        cr_assert_eq(errno, MARK, "malloc(%zu)", sizes[i]);
        blocks[1] = calloc(1, sizes[i]);
        cr_assert_eq(errno, MARK, "calloc(%zu)", sizes[i]);
        blocks[2] = aligned_alloc(4096, sizes[i]);
        cr_assert_eq(errno, MARK, "aligned_alloc(%zu)", sizes[i]);
        blocks[3] = memalign(256, sizes[i]);
        cr_assert_eq(errno, MARK, "memalign(%zu)", sizes[i]);
        blocks[4] = realloc(malloc(10), sizes[i] + 1);
        cr_assert_eq(errno, MARK, "realloc(%zu)", sizes[i]);
        cr_assert_eq(posix_memalign(&p, 64, sizes[i]), 0);
        cr_assert_eq(errno, MARK, "posix_memalign(%zu)", sizes[i]);
        blocks[5] = p;
        (void)malloc_usable_size(p);
        for (size_t b = 0; b < 6; b++) {
            cr_assert_not_null(blocks[b]);
            free(blocks[b]);
        }
        cr_assert_eq(errno, MARK, "free(%zu)", sizes[i]);
    }
}

Test(errno_, success_leaves_it_alone)
{
    assert_success_keeps_errno();
}

Test(errno_, success_at_the_limit_leaves_it_alone, .timeout = 300)
{
    press();
    assert_success_keeps_errno();
}

Test(errno_, free_leaves_it_alone)
{
    assert_free_keeps_errno();
}

Test(errno_, free_at_the_limit_leaves_it_alone, .timeout = 300)
{
    press();
    assert_free_keeps_errno();
}

static pthread_barrier_t full;

/* free() alone does not make the thread's cache; any other call that succeeds does, where there is
 * room. */
static void *begin_with_realloc_and_free(void *block)
{
    pthread_barrier_wait(&full);
    errno = MARK;
    block = realloc(block, 101);
    int after_realloc = errno;
    free(block);
    return block != NULL && after_realloc == MARK && errno == MARK ? NULL : "changed";
}

/* Lets the process get no more address space. qemu-user accepts the limit, and does not enforce
 * it. */
static void stop_growth(struct rlimit *ret_before)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_AS, ret_before), 0);
    limit = *ret_before;
    limit.rlim_cur = MIB;
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
    if (mmap(NULL, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        cr_skip_test("RLIMIT_AS bounds nothing here");
}

/* Uses up the first arena, from which threads' caches are allocated. */
static void use_up(void)
{
    const int first_arena_no_cache = 1 << 20 | 1 << 8;
    for (size_t size = 8 * MIB; size >= 4096; size /= 2)
        while (mallocx(size, first_arena_no_cache) != NULL)
            ;
}

Test(errno_, success_of_a_thread_without_room_for_a_cache_leaves_it_alone)
{
    struct rlimit before;
    pthread_t thread;
    void *changed = NULL, *block = malloc(100);
    if (dlopen("libjemalloc.so.2", RTLD_LAZY | RTLD_NOLOAD) != NULL)
        cr_skip_test("the shared jemalloc does not see that it has no room, and crashes");
    pthread_barrier_init(&full, NULL, 2);
    cr_assert_eq(pthread_create(&thread, NULL, begin_with_realloc_and_free, block), 0);
    stop_growth(&before);
    use_up();
    pthread_barrier_wait(&full);
    pthread_join(thread, &changed);
    setrlimit(RLIMIT_AS, &before);
    cr_expect_null(changed);
}

Test(errno_, free_that_purges_leaves_it_alone)
{
    purge_at_once();
    assert_free_keeps_errno();
}

Test(errno_, free_of_locked_pages_leaves_it_alone)
{
    purge_at_once();
    for (size_t size = 64 * 1024; size <= MIB; size *= 2) {
        char *p = malloc(size);
        cr_assert_not_null(p);
        memset(p, 1, size);
        if (mlock(p, size) != 0)
            cr_skip_test("pages cannot be locked here");
        errno = MARK;
        free(p); /* an old kernel refuses to drop locked pages */
        cr_assert_eq(errno, MARK, "%zu bytes: %d", size, errno);
        p = calloc(1, size);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(p[i], 0, "calloc clears them all the same");
        free(p);
    }
    munlockall();
}
