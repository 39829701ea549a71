/* Giving pages back, in a look or on request, see look.h. */
#include "look_internal.h"

#include "account.h"
#include "arenas.h"
#include "inside.h"
#include "pages.h"
#include "stats.h"

#include <errno.h>

static void account_purge(uint64_t bytes, uint64_t cpu_ns)
{
    governor_spend(&look.governor, cpu_ns);
    counter_add(PAGE_RECLAIM_CPU, cpu_ns);
    counter_add(PAGE_PURGES, 1);
    counter_add(PAGE_PURGED, bytes);
}

uint64_t look_give_back(uint64_t bytes)
{
    uint64_t start = sys_thread_cpu_ns();
    struct arenas_pages before, after;
    arenas_read(&before);
    uint64_t freed = arenas_purge(bytes);
    uint64_t cost = sys_thread_cpu_since(start);
    arenas_read(&after);
    const struct governor_purged purged = {
        .now_ns = sys_now_ns(),
        .wanted = u64_min(bytes, before.dirty),
        .given = freed,
        .dirty_left = after.dirty,
        .refused = pages_refused(),
    };
    governor_purge_done(&look.governor, &purged);
    account_purge(freed, cost);
    return freed;
}

static struct slabs_given purge_slabs(uint64_t bytes)
{
    /* The child of a handler that forked inside a look goes on with it, and has no lock. */
    if (!lock_is_own(&look.lock))
        return (struct slabs_given){.left_alone = true};
    uint64_t start = sys_thread_cpu_ns();
    struct slabs_given given = arenas_drop_slabs(bytes);
    uint64_t cost = sys_thread_cpu_since(start);
    const struct governor_slabs_given result = {
        .now_ns = sys_now_ns(),
        .cpu_ns = cost,
        .bytes = given.bytes,
        .absent = given.absent,
        .is_exact = given.is_exact,
        .all = given.all,
    };
    governor_slabs_done(&look.governor, &result);
    if (!given.is_exact) /* it may have been nothing */
        given.bytes = 0;
    account_purge(given.bytes, cost);
    return given;
}

/* Until so many bytes have gone or all slabs have been seen, the rest of the round under way
 * besides: the lock is taken for a millisecond at a time. */
static uint64_t purge_all_slabs(uint64_t bytes)
{
    uint64_t freed = 0;
    for (unsigned rounds = 0; rounds < 2 && freed < bytes;) {
        struct look_turn turn = look_begin(look_wait_ns);
        if (!turn.had)
            break;
        struct slabs_given given = purge_slabs(bytes - freed);
        look_end(turn);
        freed += given.bytes;
        rounds += given.all;
        if (given.left_alone)
            break;
    }
    account_look_now(); /* a look sets how soon refilled slabs are noticed */
    return freed;
}

void look_block_moved(uint64_t old_size, uint64_t size)
{
    int saved_errno = errno;
    struct arenas_pages pages;
    struct look_turn turn = look_begin(0);
    if (turn.had) {
        arenas_read(&pages);
        if (pages.dirty > size)
            (void)arenas_purge(u64_min(pages.dirty - size, old_size));
    }
    look_end(turn);
    errno = saved_errno;
}

uint64_t look_purge(uint64_t bytes)
{
    struct look_turn turn = look_begin(look_wait_ns);
    if (!turn.had)
        return 0;
    arenas_flush_thread_cache();
    uint64_t freed = look_give_back(bytes);
    if (freed < bytes)
        governor_slabs_read(&look.governor, arenas_slabs_free());
    look_end(turn);
    return freed < bytes ? freed + purge_all_slabs(bytes - freed) : freed;
}

/* Counting free blocks takes jemalloc 10 us an arena: a 64th of one CPU at most, an eighth where a
 * kill is near. */
static void count_slabs(const struct governor_input *in)
{
    uint64_t used = governor_undroppable(in);
    uint64_t pause_ns =
        u64_max(NS_PER_MS, (used >= in->limits.critical ? 8 : 64) * look.slabs_cost_ns);
    bool wanted = used >= in->limits.soft || look.governor.slabs_absent > 0;
    if (in->limits.source == LIMITS_NONE || !wanted ||
        in->now_ns - look.slabs_counted_ns < pause_ns)
        return;
    uint64_t start = sys_thread_cpu_ns();
    governor_slabs_read(&look.governor, arenas_slabs_free());
    look.slabs_cost_ns = sys_thread_cpu_since(start);
    look.slabs_counted_ns = sys_now_ns();
}

void look_drop_slabs(struct governor_input *in)
{
    count_slabs(in);
    in->absent = look.governor.slabs_absent;
    uint64_t want = governor_slabs(&look.governor, in);
    if (want == 0)
        return;
    in->usage = u64_less(in->usage, purge_slabs(want).bytes);
    in->absent = look.governor.slabs_absent;
}
