/*
 * What every module may use: attributes, small arithmetic, the "no limit" value.
 * Includes nothing of ours and no libc header that does I/O.
 */
#ifndef PLIM_BASE_H
#define PLIM_BASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PLIM_EXPORT __attribute__((visibility("default")))
/* For what the fast path reads: no detour through the global offset table. */
#define PLIM_HIDDEN            __attribute__((visibility("hidden")))
#define PLIM_COLD              __attribute__((cold, noinline))
#define PLIM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Keeps a field that many threads write off the line of those that many read. */
#define CACHE_LINE    64
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE)))

/* A limit that is not there. */
#define UNLIMITED UINT64_MAX

#define KiB ((uint64_t)1024)
#define MiB (1024 * KiB)
#define GiB (1024 * MiB)

#define NS_PER_MS ((uint64_t)1000000)
#define NS_PER_S  ((uint64_t)1000000000)

static inline uint64_t u64_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t u64_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t u64_clamp(uint64_t v, uint64_t lo, uint64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* a + b, or the largest number where that would be larger. */
static inline uint64_t u64_add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* a - b, or 0 where that would be negative. */
static inline uint64_t u64_less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Whether size bytes, 8 at least, are all zero. */
static inline bool is_zero(const char *p, size_t size)
{
    const size_t word = 8;
    return memcmp(p, "\0\0\0\0\0\0\0", word) == 0 && memcmp(p, p + word, size - word) == 0;
}

/* part/whole of v without overflow for any v; whole must not be 0. */
static inline uint64_t u64_share(uint64_t v, uint64_t part, uint64_t whole)
{
    return (uint64_t)((unsigned __int128)v * part / whole);
}

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
