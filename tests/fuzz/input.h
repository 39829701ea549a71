/*
 * What the fuzzers share: checks of what must hold, and an input as a process's environment.
 */
#ifndef PLIM_FUZZ_INPUT_H
#define PLIM_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static inline void hold(bool holds)
{
    if (!holds)
        abort();
}

enum { ENTRIES_MAX = 64 };

/* Entries that each end in NUL, as in /proc/PID/environ. */
struct entries {
    char *copy;
    const char *list[ENTRIES_MAX + 1]; /* into the copy; NULL behind the last */
    size_t count;
};

/* The copy is the caller's to free. */
static inline void entries_of(struct entries *ret, const uint8_t *data, size_t len)
{
    ret->count = 0;
    ret->copy = malloc(len + 1);
    hold(ret->copy != NULL);
    memcpy(ret->copy, data, len);
    ret->copy[len] = '\0';
    for (size_t at = 0; at < len && ret->count < ENTRIES_MAX; at += strlen(ret->copy + at) + 1)
        ret->list[ret->count++] = ret->copy + at;
    ret->list[ret->count] = NULL;
}

#endif
