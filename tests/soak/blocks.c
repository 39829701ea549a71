/* Blocks whose every byte is known. See soak.h. */
#include "soak.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOLD_MAX = 5 };

static _Atomic uint64_t wrong; /* any thread adds, read at the end: relaxed is enough */

uint64_t wrong_count(void)
{
    return atomic_load_explicit(&wrong, memory_order_relaxed);
}

static void tell_wrong(const struct item *item, const char *what, size_t at)
{
    if (atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed) < TOLD_MAX)
        fprintf(stderr, "soak: %p, %zu bytes: %s at %zu\n", (void *)item->data, item->size, what,
                at);
}

/* --- contents --- */

static const uint64_t STEP = 0x9E3779B97F4A7C15u;

static void fill(const struct item *item)
{
    uint64_t word = item->seed;
    size_t at = 0;
    for (; at + sizeof(word) <= item->size; at += sizeof(word), word += STEP)
        memcpy(item->data + at, &word, sizeof(word));
    memcpy(item->data + at, &word, item->size - at);
}

/* Whether the first `len` bytes are as fill() left them. */
static void check(const struct item *item, size_t len)
{
    uint64_t word = item->seed, got, differ = 0;
    size_t at = 0;
    for (; at + sizeof(word) <= len; at += sizeof(word), word += STEP) {
        memcpy(&got, item->data + at, sizeof(got));
        differ |= got ^ word;
    }
    if (differ != 0 || memcmp(item->data + at, &word, len - at) != 0)
        tell_wrong(item, "not what was written, before", len);
}

static void check_zero(const struct item *item)
{
    if (item->data[0] != 0 || memcmp(item->data, item->data + 1, item->size - 1) != 0)
        tell_wrong(item, "calloc did not zero, before", item->size);
}

/* --- time --- */

void pauses_add(struct pauses *sum, const struct pauses *part)
{
    sum->calls += part->calls;
    sum->over_10ms += part->over_10ms;
    sum->over_100ms += part->over_100ms;
    if (part->longest_ns > sum->longest_ns)
        sum->longest_ns = part->longest_ns;
    if (part->reading_longest_ns > sum->reading_longest_ns)
        sum->reading_longest_ns = part->reading_longest_ns;
}

/* A call began at `began` and has just returned. */
static void note(struct pauses *pauses, uint64_t began)
{
    uint64_t took = now_ns() - began;
    pauses->calls++;
    pauses->over_10ms += took > 10000000;
    pauses->over_100ms += took > 100000000;
    if (took > pauses->longest_ns)
        pauses->longest_ns = took;
}

/* --- calls --- */

static bool make_aligned(struct item *item, uint64_t *random, struct pauses *pauses)
{
    size_t align = (size_t)16 << random_between(random, 0, 9);
    void *data = NULL;
    uint64_t began = now_ns();
    if (next_random(random) % 2)
        data = aligned_alloc(align, item->size);
    else if (posix_memalign(&data, align, item->size) != 0)
        data = NULL;
    note(pauses, began);
    item->data = data;
    if ((uintptr_t)data % align != 0)
        tell_wrong(item, "not aligned to", align);
    return data != NULL;
}

bool item_make(struct item *item, size_t size, uint64_t *random, struct pauses *pauses)
{
    *item = (struct item){.size = size, .seed = next_random(random)};
    unsigned how = (unsigned)(next_random(random) % 10);
    if (how == 9) {
        if (!make_aligned(item, random, pauses))
            return false;
    } else {
        uint64_t began = now_ns();
        item->data = how < 6 ? malloc(size) : how < 8 ? calloc(1, size) : realloc(NULL, size);
        note(pauses, began);
        if (!item->data)
            return false;
        if (how == 6 || how == 7)
            check_zero(item);
    }
    if (malloc_usable_size(item->data) < size)
        tell_wrong(item, "usable size is less than", size);
    fill(item);
    return true;
}

bool item_resize(struct item *item, size_t size, uint64_t *random, struct pauses *pauses)
{
    check(item, item->size);
    uint64_t began = now_ns();
    void *data = realloc(item->data, size);
    note(pauses, began);
    if (!data)
        return false;
    size_t kept = item->size < size ? item->size : size;
    item->data = data;
    item->size = size;
    check(item, kept);
    item->seed = next_random(random);
    fill(item);
    return true;
}

void item_check(const struct item *item)
{
    check(item, item->size);
}

void item_end(struct item *item, struct pauses *pauses)
{
    if (!item->data)
        return;
    uint64_t read_from = now_ns();
    check(item, item->size);
    errno = EXDEV; /* free must keep errno, whatever else it does */
    uint64_t began = now_ns();
    if (began - read_from > pauses->reading_longest_ns)
        pauses->reading_longest_ns = began - read_from;
    free(item->data);
    note(pauses, began);
    if (errno != EXDEV)
        tell_wrong(item, "free changed errno to", (size_t)errno);
    item->data = NULL;
}
