/*
 * The flight record's text, as the library writes it (record.c) and the command reads it; explained
 * to users in plimsoll(7). Lines of words. Readers skip lines with an unknown first word and
 * numbers behind the last known one, so that a later version may add both.
 */
#ifndef PLIM_RECORD_FORMAT_H
#define PLIM_RECORD_FORMAT_H

#include "base.h"

#define RECORD_FIRST_LINE "plimsoll record 1"
#define RECORD_LAST_LINE  "end"
/* In front of each line of jemalloc's statistics. */
#define RECORD_QUOTE "| "
/* In place of a number: no limit, or not known. */
#define RECORD_NO_NUMBER "-"

/* X(name, unpack): the numbers of a "sample" line, in their order: fields of struct page_sample,
 * and for sizes the function that makes them bytes. */
#define RECORD_SAMPLE(X)                                                                           \
    X(at_ns, )                                                                                     \
    X(span_us, )                                                                                   \
    X(usage, page_unpack)                                                                          \
    X(committed, page_unpack)                                                                      \
    X(active, page_unpack)                                                                         \
    X(dirty, page_unpack)                                                                          \
    X(soft, page_unpack)                                                                           \
    X(hard, page_unpack)                                                                           \
    X(purged, page_unpack)                                                                         \
    X(asked, page_unpack)                                                                          \
    X(freed, page_unpack)                                                                          \
    X(request, page_unpack)                                                                        \
    X(throttle_us, )                                                                               \
    X(looks, )                                                                                     \
    X(level, )                                                                                     \
    X(events, )                                                                                    \
    X(cpu_us, )

struct record_sample {
#define X(name, unpack) uint64_t name;
    RECORD_SAMPLE(X)
#undef X
};

struct page_sample;
/* The same in bytes. */
void record_sample_unpack(const struct page_sample *from, struct record_sample *ret);

/* X(name, key, unit): the numbers of the "resident" line, in their order; their keys in
 * /proc/self/status, and what those count. Bytes, but for the last. */
#define RECORD_RESIDENT(X)                                                                         \
    X(anonymous, "RssAnon", KiB)                                                                   \
    X(file, "RssFile", KiB)                                                                        \
    X(shared, "RssShmem", KiB)                                                                     \
    X(swap, "VmSwap", KiB)                                                                         \
    X(page_tables, "VmPTE", KiB)                                                                   \
    X(threads, "Threads", 1)

struct record_resident {
#define X(name, key, unit) uint64_t name;
    RECORD_RESIDENT(X)
#undef X
};

/* What memory of the process is mapped for: the "map" lines, one a kind. X(id, name, meaning) */
#define RECORD_MAPS(X)                                                                             \
    X(ANONYMOUS, "anonymous", "anonymous memory: Plimsoll's heap, thread stacks, mmap")            \
    X(BRK, "brk", "the C library's old heap (brk)")                                                \
    X(STACK, "stack", "stack of the first thread")                                                 \
    X(SHARED, "shared", "shared memory (/dev/shm, memfd, System V)")                               \
    X(FILE, "file", "mapped files, the program and its libraries among them")                      \
    X(OTHER, "other", "what the kernel maps")

enum record_map {
#define X(id, ...) RECORD_MAP_##id,
    RECORD_MAPS(X)
#undef X
        RECORD_MAP_COUNT
};

struct record_map_info {
    const char *name, *meaning;
};
extern const struct record_map_info record_maps[RECORD_MAP_COUNT];

/* Sums over the mappings of a kind. Bytes. */
struct record_map_sum {
    uint64_t mappings, rss, anonymous, swap;
};

#endif
