/*
 * Large blocks that are resized. One that cannot grow in place moves. Where there may be no room
 * for both copies it moves by pieces: what has been copied goes back to the kernel at once, much as
 * mremap(2) would do. jemalloc frees the old block right after.
 */
#include "instead.h"

#include "../account.h"
#include "../admit.h"
#include "../inside.h"
#include "../je.h"
#include "../look.h"
#include "../runtime.h"
#include "../sys.h"

#include <errno.h>
#include <string.h>

void *je_large_ralloc(void *tsdn, void *arena, void *ptr, size_t size, size_t alignment, bool zero,
                      void *tcache, void *hook_args);

void *resize(void *tsdn, void *arena, void *ptr, size_t size, size_t alignment, bool zero,
             void *tcache, void *hook_args) INSTEAD(large_ralloc);
/* jemalloc's large.c copies for nothing else. */
void *move(void *to, const void *from, size_t size) INSTEAD(memcpy);

/* While a block moves by pieces, this much of it is there twice. */
static const size_t piece = 512 * KiB;

/* What smaller blocks leave as they move is not much. */
static const size_t much_to_leave = 8 * MiB;

/* The kernel did not take pages: no more moves by pieces. Relaxed: it stands alone. */
static _Atomic bool in_vain;

/* false: an arena with the program's own hooks, which may mean something else by pages. */
static bool is_counted(const void *block)
{
    unsigned arena;
    size_t len = sizeof(arena);
    return je_mallctl("arenas.lookup", &arena, &len, (void *)&block, sizeof(block)) == 0 &&
           arena_is_counted(arena);
}

/* Whether giving back pages of the block frees them: the kernel takes them (a call for no pages
 * fails only where a filter refuses it), and no other process shares them. */
static bool can_go_by_pieces(void *block, size_t size)
{
    return size >= LARGE_REQUEST && is_counted(block) &&
           !atomic_load_explicit(&in_vain, memory_order_relaxed) && sys_drop_pages(block, 0) == 0 &&
           !(atomic_load_explicit(&runtime.forked, memory_order_relaxed) &&
             sys_shares_pages(block, size));
}

/* Bytes that may be there twice just now: blocks that are moved whole while LOW is near. Relaxed:
 * only a count. */
static _Atomic uint64_t doubled;

void moves_fork_child(void)
{
    atomic_store_explicit(&doubled, 0, memory_order_relaxed);
}

/* Not inside: jemalloc's locks may be held then. */
static bool may_look(void)
{
    return runtime_ready() && !thread_state.inside;
}

struct way {
    bool by_pieces;
    size_t doubled; /* what of the block is in the count above; 0 where LOW is far */
};

/* More being committed than would fit is not enough for going by pieces: usage is read. Inside all
 * the while: a handler that allocates must ask nothing of jemalloc, whose locks may be held. */
static struct way choose(void *block, size_t old_size, size_t size)
{
    if (!may_look() || (!admit_may_come_to_low(size) && size < account_until_look()))
        return (struct way){false, 0};
    uint64_t others = atomic_fetch_add_explicit(&doubled, size, memory_order_relaxed);
    bool was_inside = inside_enter();
    bool by_pieces = !look_fits_below_low(size + others) && can_go_by_pieces(block, old_size);
    inside_leave(was_inside);
    if (!by_pieces)
        return (struct way){false, size};
    count_down(&doubled, size);
    return (struct way){true, 0};
}

void *resize(void *tsdn, void *arena, void *ptr, size_t size, size_t alignment, bool zero,
             void *tcache, void *hook_args)
{
    void *p = NULL;
    size_t old_size = gate_stops(size) ? je_malloc_usable_size(ptr) : size;
    if (size <= old_size)
        return je_large_ralloc(tsdn, arena, ptr, size, alignment, zero, tcache, hook_args);
    struct way way = choose(ptr, old_size, size);
    /* A block that may be there twice is judged by its whole new size. */
    if (!admit_request(way.by_pieces ? size - old_size : size)) {
        errno = ENOMEM;
    } else {
        thread_state.by_pieces = way.by_pieces;
        p = je_large_ralloc(tsdn, arena, ptr, size, alignment, zero, tcache, hook_args);
        thread_state.by_pieces = false;
        requests_served();
    }
    count_down(&doubled, way.doubled);
    if (p != NULL && p != ptr && old_size >= much_to_leave && may_look())
        look_block_moved(old_size, size);
    return p;
}

/* The tail of a block, up to its size class, may never have been touched. Then the copy's, still as
 * the kernel gave it, need not be touched either. */
static void copy_used(char *to, const char *from, size_t size, size_t page)
{
    for (size_t at = 0; at < size; at += page) {
        size_t len = u64_min(page, size - at);
        if (!is_zero(from + at, len) || !is_zero(to + at, len))
            memcpy(to + at, from + at, len);
    }
}

void *move(void *to, const void *from, size_t size)
{
    const size_t page = sys_page_size();
    requests_served(); /* the copy has its pages */
    if (!thread_state.by_pieces)
        return memcpy(to, from, size);
    for (size_t at = 0; at < size; at += piece) {
        char *old = (char *)(uintptr_t)from + at;
        size_t len = u64_min(piece, size - at);
        copy_used((char *)to + at, old, len, page);
        if (sys_drop_pages(old, len) < 0)
            atomic_store_explicit(&in_vain, true, memory_order_relaxed);
    }
    return to;
}
