/* Calls on another stack, see sys.h: by the C library's contexts. */
#include "sys.h"

#include <ucontext.h>

/* The deepest call so far takes 32 KiB: jemalloc's statistics in a flight record. */
#define STACK (128 * KiB)
#define GUARD (64 * KiB) /* a page, however large pages are */

/* At the end of the stack's mapping: contexts take a KiB each. */
struct excursion {
    ucontext_t from, there;
    void (*call)(void *);
    void *arg;
};

/* makecontext(3) passes only ints, so the address comes in halves. */
static void begin(unsigned high, unsigned low)
{
    struct excursion *e = (struct excursion *)(uintptr_t)((uint64_t)high << 32 | low);
    e->call(e->arg);
}

static bool go(char *map, struct excursion *e)
{
    uint64_t at = (uint64_t)(uintptr_t)e;
    if (getcontext(&e->there) != 0)
        return false;
    e->there.uc_stack.ss_sp = map + GUARD;
    e->there.uc_stack.ss_size = (size_t)((char *)e - map - GUARD);
    e->there.uc_link = &e->from;
    makecontext(&e->there, (void (*)(void))begin, 2, (unsigned)(at >> 32), (unsigned)at);
    return swapcontext(&e->from, &e->there) == 0;
}

void sys_on_own_stack(void (*call)(void *), void *arg)
{
    char *map = sys_map_guarded(GUARD, STACK);
    if (map == NULL) {
        call(arg); /* on what is left of this stack */
        return;
    }
    struct excursion *e = (struct excursion *)(map + GUARD + STACK) - 1;
    e->call = call;
    e->arg = arg;
    if (!go(map, e))
        call(arg);
    sys_unmap(map, GUARD + STACK);
}
