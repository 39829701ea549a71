/*
 * The flight record's text, as the library writes it (record.c) and the command reads it; explained
 * to users in plimsoll(7). Lines of words; an unknown first word is skipped by readers, so that a
 * later version may add lines, and numbers behind the last one of a line.
 */
#ifndef PLIM_RECORD_FORMAT_H
#define PLIM_RECORD_FORMAT_H

#include "base.h"

#define RECORD_FIRST_LINE "plimsoll record 1"
#define RECORD_LAST_LINE  "end"
/* In front of each line of jemalloc's own. */
#define RECORD_QUOTE "| "
/* In place of a number: no limit, or not known. */
#define RECORD_NO_NUMBER "-"

/* The numbers of a "sample" line, in their order: those of struct page_sample. Sizes in bytes. */
#define RECORD_SAMPLE(X)                                                                           \
    X(at_ns)                                                                                       \
    X(span_us)                                                                                     \
    X(usage)                                                                                       \
    X(committed)                                                                                   \
    X(active)                                                                                      \
    X(dirty)                                                                                       \
    X(soft)                                                                                        \
    X(hard)                                                                                        \
    X(purged)                                                                                      \
    X(asked)                                                                                       \
    X(freed)                                                                                       \
    X(request)                                                                                     \
    X(throttle_us)                                                                                 \
    X(looks)                                                                                       \
    X(level)                                                                                       \
    X(events)                                                                                      \
    X(cpu_us)

struct record_sample {
#define X(name) uint64_t name;
    RECORD_SAMPLE(X)
#undef X
};

struct page_sample;
/* The same in bytes. */
void record_sample_unpack(const struct page_sample *from, struct record_sample *ret);

/* The numbers of the "resident" line, in their order, from /proc/self/status. Bytes, but for the
 * last. */
#define RECORD_RESIDENT(X)                                                                         \
    X(anonymous)                                                                                   \
    X(file)                                                                                        \
    X(shared)                                                                                      \
    X(swap)                                                                                        \
    X(page_tables)                                                                                 \
    X(threads)

struct record_resident {
#define X(name) uint64_t name;
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
