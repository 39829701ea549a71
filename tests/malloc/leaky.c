/*
 * Keeps 40 MB in 2000-byte blocks from one function and 2 MB in 1000-byte blocks from another,
 * frees 80 MB from a third one, and writes a heap profile: leaky FILE. Prints rc=N.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *volatile sink;

__attribute__((noinline)) void leak_most(void)
{
    sink = malloc(2000);
    memset(sink, 1, 2000);
}

__attribute__((noinline)) void leak_little(void)
{
    sink = calloc(1, 1000);
}

__attribute__((noinline)) void take_and_free(void)
{
    sink = malloc(4000);
    free(sink);
}

int main(int argc, char **argv)
{
    if (argc < 2 || !plim_present())
        return 2;
    for (int i = 0; i < 20000; i++) {
        leak_most();
        take_and_free();
        if (i % 10 == 0)
            leak_little();
    }
    printf("rc=%d\n", plim_heap_profile(argv[1]));
    return 0;
}
