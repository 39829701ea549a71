/*
 * What the C library's own malloc tests cover and tests/malloc does not. Written after their
 * descriptions, in plain C, to run under any malloc, first of all the C library's. Prints TAP. A
 * case that hangs ends the program by SIGALRM.
 *   glibc_like [--fork-in-handler]   only that case: the C library's malloc is made for it, others
 *                                    (jemalloc, tcmalloc, and so this library) hang
 */
#include "glibc_like.h"

#include <errno.h>
#include <malloc.h>
#include <obstack.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 250 };

const char *wrong; /* what is wrong in the case; NULL: nothing */
volatile size_t opaque = 1;

bool expect(bool good, const char *what)
{
    if (!good && !wrong)
        wrong = what;
    return good;
}

/* --- sizes that are too large (tst-malloc-too-large) --- */

static void refused(void *block)
{
    expect(block == NULL && errno == ENOMEM, "too large a request was not refused with ENOMEM");
    errno = 0;
}

static void try_too_large(size_t size)
{
    void *small = malloc(16 * opaque), *aligned = NULL;
    if (!expect(small != NULL, "malloc failed"))
        return;
    strcpy(small, "kept");
    errno = 0;
    refused(malloc(size));
    refused(realloc(small, size));
    refused(reallocarray(small, size, opaque));
    refused(calloc(size, opaque));
    refused(calloc(opaque, size));
    refused(memalign(64, size));
    refused(aligned_alloc(64, size));
    expect(posix_memalign(&aligned, 64, size) == ENOMEM && !aligned, "posix_memalign of too much");
    expect(strcmp(small, "kept") == 0, "a refused realloc changed the block");
    free(small);
}

static void too_large(void)
{
    for (size_t i = 0; i <= 1 << 14; i += 61) {
        try_too_large((SIZE_MAX - i) * opaque);
        try_too_large(((size_t)PTRDIFF_MAX + 1 + i) * opaque);
    }
}

/* --- random aligned calls among others (tst-memalign, tst-aligned-alloc-random) --- */

static void *make_aligned(size_t align, size_t size, unsigned how)
{
    void *block = NULL;
    if (how == 0)
        return memalign(align, size);
    if (how == 1)
        return aligned_alloc(align, size);
    return posix_memalign(&block, align, size) == 0 ? block : NULL;
}

static void aligned_at_random(void)
{
    enum { BLOCKS = 500, ROUNDS = 40000 };
    static struct {
        unsigned char *data;
        size_t size;
    } blocks[BLOCKS];
    unsigned seed = 1;
    for (int i = 0; i < ROUNDS && !wrong; i++) {
        size_t at = (size_t)rand_r(&seed) % BLOCKS, size = (size_t)rand_r(&seed) % 9000;
        size_t align = sizeof(void *) << (rand_r(&seed) % 11);
        unsigned char mark = (unsigned char)at;
        unsigned char *old = blocks[at].data;
        if (old && blocks[at].size > 0)
            expect(old[0] == mark && old[blocks[at].size - 1] == mark, "a block was written over");
        free(old);
        blocks[at].data = make_aligned(align, size, (unsigned)i % 3);
        blocks[at].size = size;
        if (expect(blocks[at].data != NULL, "an aligned call failed")) {
            expect((uintptr_t)blocks[at].data % align == 0, "not aligned");
            memset(blocks[at].data, mark, size);
        }
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i].data);
}

/* --- what realloc leaves and takes (tst-realloc) --- */

static void realloc_step_by_step(void)
{
    unsigned char *block = NULL;
    for (size_t size = 1; size < 3 << 20 && !wrong; size += size / 3 + 1) {
        unsigned char *bigger = realloc(block, size);
        if (!expect(bigger != NULL, "realloc failed"))
            break;
        for (size_t i = 0; block && i < size - size / 4 - 2 && i < size / 2; i += 97)
            expect(bigger[i] == (unsigned char)i, "realloc lost a byte");
        block = bigger;
        for (size_t i = 0; i < size; i++)
            block[i] = (unsigned char)i;
    }
    for (size_t size = 3 << 20; size > 0 && block && !wrong; size /= 3) {
        block = realloc(block, size);
        if (!expect(block != NULL, "realloc to less failed"))
            break;
        for (size_t i = 0; i < size && i < 2 << 20; i += 97)
            expect(block[i] == (unsigned char)i, "realloc to less lost a byte");
    }
    free(block);
}

/* --- what the C library allocates itself (tst-obstack and others) --- */

static void obstack_grows_and_is_freed(void)
{
#define obstack_chunk_alloc malloc
#define obstack_chunk_free  free
    struct obstack stack;
    obstack_init(&stack);
    for (int round = 0; round < 50; round++) {
        char *first = obstack_alloc(&stack, 64);
        for (int i = 0; i < 20000; i++)
            obstack_1grow(&stack, (char)i);
        char *grown = obstack_finish(&stack);
        for (int i = 0; i < 20000; i += 101)
            expect(grown[i] == (char)i, "an obstack lost a byte");
        obstack_free(&stack, first);
    }
    obstack_free(&stack, NULL);
}

/* --- */

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"too large sizes are refused by every call, and nothing is changed", too_large},
    {"aligned blocks at random keep their bytes", aligned_at_random},
    {"realloc up and down keeps what fits", realloc_step_by_step},
    {"fork among threads that use malloc and stdio", fork_among_threads},
    {"threads that come and go leave nothing behind", threads_come_and_go},
    {"threads use up the address space and go on", address_space_used_up},
    {"obstacks grow and are freed", obstack_grows_and_is_freed},
    {"fork in a signal handler that interrupts malloc", fork_in_signal_handler},
};

int main(int argc, char **argv)
{
    const int all = (int)(sizeof(cases) / sizeof(cases[0]));
    bool in_handler = argc == 2 && strcmp(argv[1], "--fork-in-handler") == 0;
    int failed = 0, first = in_handler ? all - 1 : 0, last = in_handler ? all : all - 1;
    for (int i = first; i < last; i++) {
        alarm(PATIENCE_SECONDS);
        wrong = NULL;
        cases[i].run();
        failed += wrong != NULL;
        printf("%sok %d - %s\n", wrong ? "not " : "", i - first + 1, cases[i].name);
        if (wrong)
            printf("# %s\n", wrong);
        fflush(stdout);
    }
    printf("1..%d\n", last - first);
    return failed ? 1 : 0;
}
