/* What the files share that stand between jemalloc's own, see prefix. */
#ifndef PLIM_JEMALLOC_INSTEAD_H
#define PLIM_JEMALLOC_INSTEAD_H

#include <stdatomic.h>
#include <stdint.h>

/* The function that jemalloc calls for this one of its own. */
#define INSTEAD(name) __asm__("plim_je_" #name)

/* Stays 0 where it is: in a child that was forked meanwhile, where such counts are reset. */
static inline void count_down(_Atomic uint32_t *count)
{
    uint32_t counted = atomic_load_explicit(count, memory_order_seq_cst);
    while (counted > 0 &&
           !atomic_compare_exchange_weak_explicit(count, &counted, counted - 1,
                                                  memory_order_seq_cst, memory_order_seq_cst))
        ;
}

#endif
