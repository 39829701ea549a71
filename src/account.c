/* The words that every thread reads, and the list of arenas, see account.h. */
#include "account.h"

struct gate gate; /* 0: the first call of all boots the library */

/* No look is due until the runtime has set a mark. */
struct account account = {.look_at = INT64_MAX};
_Atomic(const size_t *) account_active_pages[ACCOUNT_ARENAS];

const size_t account_new = 0;

void account_arena_made(unsigned arena)
{
    unsigned seen = atomic_load_explicit(&account.arena_count, memory_order_relaxed);
    if (arena >= ACCOUNT_ARENAS)
        return;
    atomic_store_explicit(&account_active_pages[arena], &account_new, memory_order_relaxed);
    while (arena >= seen &&
           !atomic_compare_exchange_weak_explicit(&account.arena_count, &seen, arena + 1,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void account_arena_gone(unsigned arena)
{
    atomic_store_explicit(&account_active_pages[arena], NULL, memory_order_relaxed);
}
