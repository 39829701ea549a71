/* What the files share whose functions jemalloc calls in place of its own, see prefix. */
#ifndef PLIM_JEMALLOC_INSTEAD_H
#define PLIM_JEMALLOC_INSTEAD_H

#include "../base.h"

#include <stdatomic.h>

/* Names the function that jemalloc calls in place of its own `name`. */
#define INSTEAD(name) __asm__("plim_je_" #name)

/* Does not go below 0: a child that was forked meanwhile has reset such counts. */
static inline void count_down(_Atomic uint64_t *count, uint64_t by)
{
    uint64_t counted = atomic_load_explicit(count, memory_order_seq_cst);
    while (by > 0 && counted > 0 &&
           !atomic_compare_exchange_weak_explicit(count, &counted, u64_less(counted, by),
                                                  memory_order_seq_cst, memory_order_seq_cst))
        ;
}

#endif
