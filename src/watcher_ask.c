/* What other threads want of the watcher: that it looks, and what they wait for it to do. */
#include "watcher_internal.h"

/* Raises the word that the watcher sleeps on, and returns it. */
static const _Atomic uint32_t *raise_word(void)
{
    struct page_mailbox *mailbox = atomic_load_explicit(&watcher.mailbox, memory_order_seq_cst);
    atomic_fetch_add_explicit(&mailbox->wake, 1, memory_order_seq_cst);
    return &mailbox->wake;
}

/* A watcher that still sleeps on the old word must wake and see the new one. */
void watcher_use(struct page_mailbox *mailbox)
{
    struct page_mailbox *before =
        atomic_exchange_explicit(&watcher.mailbox, mailbox, memory_order_seq_cst);
    if (before == mailbox)
        return;
    atomic_fetch_add_explicit(&before->wake, 1, memory_order_seq_cst);
    events_wake(&watcher.events, &before->wake);
}

void watcher_rouse(void)
{
    events_wake(&watcher.events, raise_word());
}

void watcher_wake(void)
{
    const _Atomic uint32_t *word = raise_word();
    if (atomic_load_explicit(&watcher.state, memory_order_seq_cst) == WATCHER_RUNNING)
        events_wake(&watcher.events, word);
}

void watcher_wake_by(uint64_t ns)
{
    if (atomic_load_explicit(&watcher.state, memory_order_seq_cst) == WATCHER_RUNNING &&
        atomic_load_explicit(&watcher.next_ns, memory_order_seq_cst) > ns)
        watcher_wake();
}

static void ask(_Atomic uint64_t *at, uint64_t bytes)
{
    uint64_t asked = atomic_load_explicit(at, memory_order_seq_cst);
    while (asked < bytes && !atomic_compare_exchange_weak_explicit(
                                at, &asked, bytes, memory_order_seq_cst, memory_order_seq_cst))
        ;
}

void watcher_ask(uint64_t bytes)
{
    ask(&watcher.wanted, bytes);
}

void watcher_gave(uint64_t bytes)
{
    count_down(&watcher.wanted, bytes);
}

void watcher_ask_for_call(uint64_t bytes)
{
    ask(&watcher.asked, bytes);
}

bool watcher_is_asked(void)
{
    return atomic_load_explicit(&watcher.wanted, memory_order_seq_cst) > 0 ||
           atomic_load_explicit(&watcher.asked, memory_order_seq_cst) > 0;
}

bool watcher_pass(uint64_t bytes, uint64_t within_ns)
{
    struct watcher *self = &watcher;
    uint64_t end = sys_now_ns() + within_ns;
    watcher_start();
    if (!watcher_is_expected())
        return false;
    watcher_ask_for_call(bytes);
    uint32_t ticket = atomic_fetch_add_explicit(&self->requests, 1, memory_order_seq_cst) + 1;
    watcher_wake();
    for (;;) {
        uint32_t served = atomic_load_explicit(&self->served, memory_order_seq_cst);
        uint64_t now = sys_now_ns();
        if ((int32_t)(served - ticket) >= 0)
            return true;
        if (now >= end)
            return false;
        (void)sys_futex_wait(&self->served, served, end - now);
    }
}
