/*
 * A large block that cannot be resized where it is moves. Where there may be no room for both, what
 * has been copied goes back to the kernel at once, as mremap(2) would have it: the old block is
 * freed right after.
 */
#include "instead.h"

#include "../account.h"
#include "../admit.h"
#include "../je.h"
#include "../sys.h"

#include <string.h>

/* jemalloc's large.c copies for nothing else. */
void *move(void *to, const void *from, size_t size) INSTEAD(memcpy);

/* So much is there twice. */
static const size_t piece = 512 * KiB;

/* Not where the program's own hooks say what pages are. */
static bool is_counted(const void *block)
{
    unsigned arena;
    size_t len = sizeof(arena);
    return je_mallctl("arenas.lookup", &arena, &len, (void *)&block, sizeof(block)) == 0 &&
           arena < ACCOUNT_ARENAS &&
           atomic_load_explicit(&account_active_pages[arena], memory_order_relaxed) != NULL;
}

static bool is_zero(const char *p, size_t size)
{
    return p[0] == 0 && memcmp(p, p + 1, size - 1) == 0;
}

/* The last part of a block, up to its size class, may never have been touched: nor need the copy's
 * be, which is as the kernel gave it. */
static void copy_used(char *to, const char *from, size_t size, size_t page)
{
    for (size_t at = 0; at < size; at += page) {
        size_t len = u64_min(page, size - at);
        if (!is_zero(from + at, len) || !is_zero(to + at, len))
            memcpy(to + at, from + at, len);
    }
}

/* Whole pages only: MALLOC_CONF=cache_oblivious:true has blocks begin anywhere. What the kernel
 * does not take stays until it is freed. */
static int drop(uintptr_t begin, uintptr_t end, size_t page)
{
    begin = (begin + page - 1) & ~(page - 1);
    end &= ~(page - 1);
    return begin < end ? sys_drop_pages((void *)begin, end - begin) : 0;
}

static void move_by_pieces(char *to, const char *from, size_t size)
{
    const size_t page = sys_page_size();
    bool drops = true;
    for (size_t at = 0; at < size; at += piece) {
        size_t len = u64_min(piece, size - at);
        copy_used(to + at, from + at, len, page);
        drops = drops && drop((uintptr_t)from + at, (uintptr_t)from + at + len, page) == 0;
    }
}

void *move(void *to, const void *from, size_t size)
{
    if (size < LARGE_REQUEST || !admit_comes_to_low() || !is_counted(from))
        return memcpy(to, from, size);
    move_by_pieces(to, from, size);
    return to;
}
