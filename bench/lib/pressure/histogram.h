/*
 * Counts of durations in buckets that grow with them: 64 to each doubling, so that a percentile is
 * off by 1.6 % at most, however long the tail. One writer; read once it is done.
 */
#ifndef PRESSURE_HISTOGRAM_H
#define PRESSURE_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum {
    HISTOGRAM_SUB_BITS = 6,
    HISTOGRAM_BUCKETS = (40 - HISTOGRAM_SUB_BITS) << HISTOGRAM_SUB_BITS
};

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t longest_ns;
};

/* Values below 64 ns have a bucket each. */
static inline unsigned histogram_bucket(uint64_t ns)
{
    unsigned top = 63 - (unsigned)__builtin_clzll(ns | 1);
    if (top < HISTOGRAM_SUB_BITS)
        return (unsigned)ns;
    unsigned shift = top - HISTOGRAM_SUB_BITS;
    unsigned bucket = ((shift + 1) << HISTOGRAM_SUB_BITS) +
                      (unsigned)(ns >> shift & ((1u << HISTOGRAM_SUB_BITS) - 1));
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The smallest value of a bucket. */
static inline uint64_t histogram_floor(unsigned bucket)
{
    unsigned shift = bucket >> HISTOGRAM_SUB_BITS;
    uint64_t low = bucket & ((1u << HISTOGRAM_SUB_BITS) - 1);
    return shift == 0 ? low : (low | 1u << HISTOGRAM_SUB_BITS) << (shift - 1);
}

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
    h->counts[histogram_bucket(ns)]++;
    if (ns > h->longest_ns)
        h->longest_ns = ns;
}

/* "longest NAME NS" and "count NAME NS COUNT" for each bucket in use. */
static inline void histogram_print(const struct histogram *h, const char *name)
{
    printf("longest %s %llu\n", name, (unsigned long long)h->longest_ns);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (h->counts[i] != 0)
            printf("count %s %llu %llu\n", name, (unsigned long long)histogram_floor(i),
                   (unsigned long long)h->counts[i]);
    }
}

#endif
