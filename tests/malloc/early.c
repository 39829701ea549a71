/*
 * A library that is in use before the allocator's constructor has run and after its destructor:
 * linked after the allocator, and so set up before it. Frees late what it allocated early.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *kept[200];

static void fill(void)
{
    for (size_t i = 0; i < 200; i++) {
        kept[i] = malloc(i * 500 + 1);
        if (kept[i] == NULL)
            abort();
        memset(kept[i], (int)(i & 0x7f), i * 500 + 1);
    }
}

static void release(void)
{
    for (size_t i = 0; i < 200; i++) {
        if (kept[i][i * 500] != (char)(i & 0x7f))
            abort();
        free(kept[i]);
    }
}

__attribute__((constructor(101))) static void begin(void)
{
    fill();
    setenv("EARLY", "1", 1);
}

__attribute__((destructor(101))) static void end(void)
{
    release();
    fill();
    char *large = malloc(30 << 20); /* a limit may refuse it */
    if (large != NULL)
        memset(large, 1, 30 << 20);
    free(large);
    release();
    fputs("late library done\n", stdout);
    fflush(stdout);
}

void early_touch(void);
void early_touch(void)
{
    release();
    fill();
}
