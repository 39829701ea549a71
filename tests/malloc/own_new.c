/* A plug-in with an operator new of its own, to which ours hands over requests that it cannot
 * serve. */
#include <stddef.h>
#include <stdint.h>

void *own_new(size_t size) __asm__("_Znwm");

static volatile size_t impossible = PTRDIFF_MAX;
static int calls;

void *own_new(size_t size)
{
    (void)size;
    calls++;
    return NULL;
}

int plugin_run(void);

/* 0, or the number of the check that failed. */
int plugin_run(void)
{
    for (int i = 0; i < 3; i++)
        if (own_new(impossible) != NULL)
            return 1;
    return calls == 3 ? 0 : 2;
}
