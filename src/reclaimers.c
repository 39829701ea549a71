/* The table of reclaimers, see reclaimers.h. Its lock is held for edits only, never over a call. */
#include "reclaimers.h"

#include "fmt.h"
#include "lock.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* Reclaimers that give are asked again within a pass, for this long. */
static const uint64_t rounds_take_ns = 5 * NS_PER_MS;

struct reclaimer {
    bool used;
    enum plim_level from;
    uint32_t generation; /* ids are not reused at once */
    plim_reclaim_fn *fn;
    void *arg;
    struct reclaimer_info info;
};

/* Set while the thread is inside a callback. */
static _Thread_local bool inside __attribute__((tls_model("initial-exec")));

static struct {
    struct lock lock; /* guards table and called */
    struct reclaimer table[RECLAIMERS_MAX];
    char called[RECLAIMER_NAME_MAX]; /* whose call was last; the slot may be another's by now */
    /* By level: how many would be called. Written under the lock, read without it: a hint. */
    _Atomic unsigned count[PLIM_CRITICAL + 1];
    /* Id + 1 of the one that runs, 0: none. Written by the running thread under the lock; waiters
     * sleep on it. */
    _Atomic uint32_t running;
    _Atomic bool stopped;
    /* By the thread that runs a pass: the slot where the next pass begins; the one behind the last
     * called. */
    unsigned first, behind;
} reclaimers;

static int make_id(unsigned slot)
{
    return (int)(slot + RECLAIMERS_MAX * (reclaimers.table[slot].generation & 0xffffff));
}

int reclaimers_add(const char *name, plim_reclaim_fn *fn, void *arg, enum plim_level from)
{
    int id = -ENOSPC;
    if (fn == NULL || from < PLIM_NORMAL || from > PLIM_CRITICAL)
        return -EINVAL;
    lock_take(&reclaimers.lock);
    for (unsigned slot = 0; slot < RECLAIMERS_MAX; slot++) {
        struct reclaimer *r = &reclaimers.table[slot];
        if (r->used)
            continue;
        *r = (struct reclaimer){
            .used = true, .from = from, .generation = r->generation + 1, .fn = fn, .arg = arg};
        fmt_str(&(struct fmt)FMT_INIT(r->info.name), name != NULL ? name : "");
        for (enum plim_level at = from; at <= PLIM_CRITICAL; at++)
            atomic_fetch_add_explicit(&reclaimers.count[at], 1, memory_order_relaxed);
        id = make_id(slot);
        break;
    }
    lock_release(&reclaimers.lock);
    return id;
}

bool reclaimers_inside(void)
{
    return inside;
}

static void wait_for_call(int id)
{
    uint32_t mark = (uint32_t)id + 1;
    while (atomic_load_explicit(&reclaimers.running, memory_order_acquire) == mark)
        (void)sys_futex_wait(&reclaimers.running, mark, UINT64_MAX);
}

int reclaimers_remove(int id)
{
    unsigned slot = (unsigned)id % RECLAIMERS_MAX;
    lock_take(&reclaimers.lock);
    struct reclaimer *r = &reclaimers.table[slot];
    bool found = id >= 0 && r->used && make_id(slot) == id;
    if (found) {
        r->used = false;
        for (enum plim_level at = r->from; at <= PLIM_CRITICAL; at++)
            atomic_fetch_sub_explicit(&reclaimers.count[at], 1, memory_order_relaxed);
    }
    lock_release(&reclaimers.lock);
    if (!found)
        return -ENOENT;
    if (!reclaimers_inside())
        wait_for_call(id);
    return 0;
}

unsigned reclaimers_count(enum plim_level level)
{
    return atomic_load_explicit(&reclaimers.stopped, memory_order_relaxed)
               ? 0
               : atomic_load_explicit(&reclaimers.count[level], memory_order_relaxed);
}

/* Begins a call of the slot's reclaimer, if it is due at the level; copies it to *ret. */
static bool begin_call(unsigned slot, enum plim_level level, struct reclaimer *ret)
{
    lock_take(&reclaimers.lock);
    *ret = reclaimers.table[slot];
    bool due = ret->used && ret->from <= level &&
               !atomic_load_explicit(&reclaimers.stopped, memory_order_relaxed) &&
               atomic_load_explicit(&reclaimers.running, memory_order_relaxed) == 0;
    if (due) {
        memcpy(reclaimers.called, ret->info.name, RECLAIMER_NAME_MAX);
        atomic_store_explicit(&reclaimers.running, (uint32_t)make_id(slot) + 1,
                              memory_order_relaxed);
    }
    lock_release(&reclaimers.lock);
    return due;
}

/* A callback may have removed itself, and another one may have its slot by now. */
static void note_call(unsigned slot, const struct reclaimer *called, uint64_t asked, uint64_t freed)
{
    struct reclaimer *r = &reclaimers.table[slot];
    lock_take(&reclaimers.lock);
    if (r->used && r->generation == called->generation) {
        r->info.calls++;
        r->info.asked = u64_add(r->info.asked, asked);
        r->info.freed = u64_add(r->info.freed, freed);
    }
    lock_release(&reclaimers.lock);
}

bool reclaimers_info(unsigned slot, struct reclaimer_info *ret)
{
    if (!lock_take_unless_own(&reclaimers.lock, UINT64_MAX)) /* a signal handler came between */
        return false;
    bool used = reclaimers.table[slot].used;
    *ret = reclaimers.table[slot].info;
    lock_release(&reclaimers.lock);
    return used;
}

bool reclaimers_running(char ret_name[RECLAIMER_NAME_MAX])
{
    lock_take(&reclaimers.lock);
    bool running = atomic_load_explicit(&reclaimers.running, memory_order_relaxed) != 0;
    if (running)
        memcpy(ret_name, reclaimers.called, RECLAIMER_NAME_MAX);
    lock_release(&reclaimers.lock);
    return running;
}

/* Runs also where the callback ended its thread. */
static void end_call(void *arg)
{
    (void)arg;
    inside = false;
    atomic_store_explicit(&reclaimers.running, 0, memory_order_release);
    (void)sys_futex_wake(&reclaimers.running, INT32_MAX);
}

static size_t call(const struct reclaimer *r, const struct plim_pressure *p)
{
    size_t freed;
    pthread_cleanup_push(end_call, NULL);
    inside = true;
    freed = r->fn(p, r->arg);
    pthread_cleanup_pop(1);
    return freed;
}

/* UINT64_MAX asks for all there is, and a callback may say that it freed as much. Of both no more
 * counts than is in use, so that sums of them stay meaningful. */
static uint64_t most_there_is(const struct plim_pressure *p)
{
    return p->usage != UNLIMITED ? p->usage : sys_ram_bytes();
}

/* One call of each, from `first` on, until by their own account `target` is freed. If a callback
 * ends the thread, `first` stays behind it, so that the others come first next time. */
static void run_round(struct plim_pressure *p, uint64_t target, uint64_t most,
                      struct reclaimers_result *ret)
{
    uint64_t said = 0;
    unsigned first = reclaimers.first;
    for (unsigned i = 0; i < RECLAIMERS_MAX && said < target; i++) {
        unsigned slot = (first + i) % RECLAIMERS_MAX;
        struct reclaimer r;
        if (!begin_call(slot, p->level, &r))
            continue;
        p->target = target - said;
        ret->calls++; /* before: it may not return */
        reclaimers.first = reclaimers.behind = slot + 1;
        uint64_t asked = u64_min(p->target, most), freed = u64_min(call(&r, p), most);
        note_call(slot, &r, asked, freed);
        said = u64_add(said, freed);
        ret->freed = u64_add(ret->freed, freed);
    }
    reclaimers.first = 0;
}

/* Many drop a fixed number of entries a call, not the bytes asked for: hence the rounds. Some say
 * less than they free, and must not be asked for more on that account; others say more, so there
 * are rounds for a short time only. */
void reclaimers_run(struct plim_pressure *p, bool go_on, uint64_t (*thread_freed)(void),
                    struct reclaimers_result *ret)
{
    uint64_t target = p->target, began_ns = sys_now_ns(), freed = thread_freed();
    uint64_t most = most_there_is(p), gave = 0, before;
    *ret = (struct reclaimers_result){.asked = u64_min(target, most)};
    if (go_on && reclaimers.first == 0)
        reclaimers.first = reclaimers.behind;
    do {
        before = gave;
        run_round(p, target - gave, most, ret);
        gave = u64_max(ret->freed, thread_freed() - freed);
    } while (gave > before && gave < ret->asked && sys_now_ns() - began_ns < rounds_take_ns);
}

void reclaimers_stop(void)
{
    lock_take(&reclaimers.lock);
    bool again = atomic_exchange_explicit(&reclaimers.stopped, true, memory_order_relaxed);
    uint32_t mark = atomic_load_explicit(&reclaimers.running, memory_order_relaxed);
    lock_release(&reclaimers.lock);
    if (mark != 0 && !again && !reclaimers_inside()) /* nobody waits twice for one */
        (void)sys_futex_wait(&reclaimers.running, mark, NS_PER_S);
}

bool reclaimers_fork_prepare(uint64_t within_ns)
{
    return lock_take_unless_own(&reclaimers.lock, within_ns);
}

void reclaimers_fork_parent(void)
{
    lock_release(&reclaimers.lock);
}

/* The thread that ran a call is not in the child, unless it is the one that forked. */
void reclaimers_fork_child(void)
{
    lock_reset(&reclaimers.lock);
    if (!reclaimers_inside())
        atomic_store_explicit(&reclaimers.running, 0, memory_order_relaxed);
}
