/*
 * Keeps forks out while jemalloc gives free pages back by itself, as they age or as it frees: a
 * child would find the arena marked as being purged for ever.
 */
#include "instead.h"

#include "../inside.h"
#include "../je.h"
#include "../sys.h"

#include <stdatomic.h>

bool je_pac_maybe_decay_purge(void *tsdn, void *pac, void *decay, void *stats, void *ecache,
                              int eagerness);
void je_pac_decay_all(void *tsdn, void *pac, void *decay, void *stats, void *ecache, bool fully);
bool purge_aged(void *tsdn, void *pac, void *decay, void *stats, void *ecache, int eagerness)
    INSTEAD(pac_maybe_decay_purge);
void purge_all(void *tsdn, void *pac, void *decay, void *stats, void *ecache, bool fully)
    INSTEAD(pac_decay_all);

/* Sequentially consistent: of a purge and a fork that begin at once, one sees the other. */
static _Atomic uint64_t purges, forks;
/* This thread's purges: a signal handler may interrupt one and fork. */
static _Thread_local uint32_t own __attribute__((tls_model("initial-exec")));

static void end(void)
{
    own -= own > 0; /* 0 already in a handler's child */
    count_down(&purges, 1);
}

/* false: a fork is under way. The pages stay until the next time: waiting is not possible, as that
 * fork is about to take locks that jemalloc holds here. */
static bool begin(void)
{
    own++;
    atomic_fetch_add_explicit(&purges, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&forks, memory_order_seq_cst) == 0)
        return true;
    end();
    return false;
}

bool purge_aged(void *tsdn, void *pac, void *decay, void *stats, void *ecache, int eagerness)
{
    if (!begin())
        return false;
    bool advanced = je_pac_maybe_decay_purge(tsdn, pac, decay, stats, ecache, eagerness);
    end();
    return advanced;
}

void purge_all(void *tsdn, void *pac, void *decay, void *stats, void *ecache, bool fully)
{
    if (!begin())
        return;
    je_pac_decay_all(tsdn, pac, decay, stats, ecache, fully);
    end();
}

void purges_fork_prepare(uint64_t patience_ns)
{
    uint64_t began = sys_now_ns();
    atomic_fetch_add_explicit(&forks, 1, memory_order_seq_cst);
    while (atomic_load_explicit(&purges, memory_order_seq_cst) > own &&
           sys_now_ns() - began < patience_ns)
        sys_sleep_ns(20 * 1000); /* it takes microseconds, if it gets a CPU */
}

void purges_fork_parent(void)
{
    count_down(&forks, 1); /* in a child that a handler forked while this fork waited, it is 0 */
}

void purges_fork_child(void)
{
    own = 0;
    atomic_store_explicit(&forks, 0, memory_order_seq_cst);
    atomic_store_explicit(&purges, 0, memory_order_seq_cst);
}
