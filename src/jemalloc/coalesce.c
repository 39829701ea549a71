/*
 * Whether free pages side by side become one run as they are freed.
 *
 * jemalloc joins slabs that have ended with their neighbours only as it purges them: until then
 * they serve slabs of their own size and smaller ones, and larger requests take fresh pages. A flag
 * at the end of an arena's store of free pages (ecache_t, as it is in 5.3.0) says so; jemalloc
 * reads it under the store's lock. Whether it is where it is expected is checked as the first arena
 * is made.
 */
#include "instead.h"
#include "slabs.h"

#include "../account.h"
#include "../inside.h"
#include "../je.h"

/* extent_state_t */
enum { DIRTY = 1, MUZZY = 2 };

/* How an ecache_t ends. */
struct store_end {
    int state;
    unsigned arena;
    unsigned char delays; /* a bool, if the layout is the one expected */
} __attribute__((aligned(8)));

bool je_ecache_init(void *tsdn, void *store, int state, unsigned arena, bool delays);
/* These lock a store and unlock it. */
void je_ecache_prefork(void *tsdn, void *store);
void je_ecache_postfork_parent(void *tsdn, void *store);

bool store_made(void *tsdn, void *store, int state, unsigned arena, bool delays)
    INSTEAD(ecache_init);

/* The first arena's store of dirty pages, and the store's end; in other arenas they lie at the same
 * offsets. Written before there is a second thread. end NULL: the layout is not the one
 * expected. */
static struct {
    char *begin;
    struct store_end *end;
} first;

/* An arena's store of muzzy pages is made next and lies right behind: so this is the end of the
 * first. */
static void learn_end(struct store_end *end)
{
    if (end->state == DIRTY && end->arena == 0 && end->delays == true)
        first.end = end;
}

bool store_made(void *tsdn, void *store, int state, unsigned arena, bool delays)
{
    bool failed = je_ecache_init(tsdn, store, state, arena, delays);
    if (arena == 0 && state == DIRTY)
        first.begin = store;
    if (arena == 0 && state == MUZZY)
        learn_end((struct store_end *)store - 1);
    return failed;
}

static void set(void *store, struct store_end *end, bool delays)
{
    if (end->state != DIRTY || end->delays == delays)
        return;
    je_ecache_prefork(NULL, store);
    end->delays = delays;
    je_ecache_postfork_parent(NULL, store);
}

bool inside_coalesce(unsigned arena, bool at_once)
{
    const char *in_first = inside_arena(0);
    if (first.end == NULL)
        return true;
    if (!slabs_begin_look())
        return false;
    char *at = arena_is_counted(arena) ? inside_arena(arena) : NULL;
    if (at != NULL)
        set(at + (first.begin - in_first),
            (struct store_end *)(at + ((char *)first.end - in_first)), !at_once);
    slabs_end_look();
    return true;
}
