/* Large requests of the program's threads, see requests.h. */
#include "requests.h"

struct requests requests;

static const uint64_t spell_ns = NS_PER_S;
static uint64_t spell_began_ns; /* by looks */

static uint32_t present(void)
{
    return atomic_load_explicit(&requests.spell, memory_order_relaxed);
}

/* The calling thread's part of requests.lately[]. */
static int64_t own(uint32_t spell)
{
    const struct thread_lately *own = &thread_state.lately[spell & 1];
    return own->spell == spell ? own->bytes : 0;
}

static void set_lately(uint32_t spell, int64_t bytes)
{
    int64_t more = bytes - own(spell);
    if (more == 0)
        return;
    thread_state.lately[spell & 1] = (struct thread_lately){spell, bytes};
    atomic_fetch_add_explicit(&requests.lately[spell & 1], more, memory_order_relaxed);
}

static void note_lately(uint64_t bytes)
{
    uint32_t spell = present();
    if (bytes < atomic_load_explicit(&requests.limit, memory_order_relaxed) &&
        (int64_t)bytes > own(spell))
        set_lately(spell, (int64_t)bytes);
}

/* In this order, and the other way round below: a handler that forks may leave its child here,
 * where only what the thread itself has counts. */
static void add(_Atomic uint64_t *all, _Atomic uint64_t *own_part, uint64_t bytes)
{
    atomic_fetch_add_explicit(all, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(own_part, bytes, memory_order_relaxed);
}

static void promise(uint64_t bytes)
{
    uint64_t had = atomic_load_explicit(&thread_state.promised, memory_order_relaxed);
    add(&requests.promised, &thread_state.promised, u64_less(bytes, had));
}

void requests_promise(uint64_t bytes)
{
    if (bytes == 0)
        return;
    promise(bytes);
    note_lately(bytes);
}

bool requests_promise_within(uint64_t bytes, uint64_t most)
{
    promise(bytes);
    bool fits = requests_promised() + bytes < most;
    if (fits)
        note_lately(bytes);
    else
        requests_served();
    return fits;
}

/* What the calling thread was let have is not about to be touched, nor freed by it. */
static void forget(void)
{
    uint32_t spell = present();
    set_lately(spell, 0);
    set_lately(spell - 1, 0);
}

void requests_wait_begin(uint64_t bytes)
{
    forget();
    add(&requests.waiting, &thread_state.waiting, bytes);
}

void requests_wait_end(uint64_t bytes)
{
    atomic_fetch_sub_explicit(&thread_state.waiting, bytes, memory_order_relaxed);
    count_down(&requests.waiting, bytes);
}

void requests_thread_ends(void)
{
    forget();
}

static uint64_t of_others(_Atomic uint64_t *all, _Atomic uint64_t *own_part)
{
    return u64_less(atomic_load_explicit(all, memory_order_relaxed),
                    atomic_load_explicit(own_part, memory_order_relaxed));
}

uint64_t requests_promised(void)
{
    return of_others(&requests.promised, &thread_state.promised);
}

uint64_t requests_waiting(void)
{
    return thread_state.held == 0 ? of_others(&requests.waiting, &thread_state.waiting) : 0;
}

static uint64_t lately_in(uint32_t spell)
{
    int64_t all = atomic_load_explicit(&requests.lately[spell & 1], memory_order_relaxed);
    int64_t others = all - own(spell);
    return others > 0 ? (uint64_t)others : 0;
}

/* Not the sum: most threads that were in one spell are in the next. */
uint64_t requests_lately(void)
{
    uint32_t spell = present();
    return u64_max(lately_in(spell), lately_in(spell - 1));
}

static void new_spell(void)
{
    uint32_t next = present() + 1;
    atomic_store_explicit(&requests.lately[next & 1], 0, memory_order_relaxed);
    atomic_store_explicit(&requests.spell, next, memory_order_relaxed);
}

void requests_look(uint64_t now_ns, uint64_t limit)
{
    atomic_store_explicit(&requests.limit, limit, memory_order_relaxed);
    uint64_t passed = u64_less(now_ns, spell_began_ns);
    if (passed < spell_ns)
        return;
    new_spell();
    if (passed >= 2 * spell_ns)
        new_spell();
    spell_began_ns = now_ns;
}

void requests_fork_child(void)
{
    atomic_store_explicit(&requests.promised, thread_state.promised, memory_order_relaxed);
    atomic_store_explicit(&requests.waiting, thread_state.waiting, memory_order_relaxed);
    for (uint32_t back = 0; back < 2; back++) {
        uint32_t spell = present() - back;
        atomic_store_explicit(&requests.lately[spell & 1], own(spell), memory_order_relaxed);
    }
}
