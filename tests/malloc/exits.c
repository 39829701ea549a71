/* A program that allocates before main and after exit, in every way it can. */
#include <plimsoll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void early_touch(void);

static char *kept;

static void churn(const char *when)
{
    char *blocks[300];
    for (size_t i = 0; i < 300; i++)
        memset(blocks[i] = malloc(i * 1000 + 1), 1, i * 1000 + 1);
    for (size_t i = 0; i < 300; i++)
        free(blocks[i]);
    printf("%s\n", when);
}

static void at_exit(void)
{
    churn("atexit");
    free(kept);
    kept = strdup("from atexit");
}

static size_t give_nothing(const struct plim_pressure *p, void *arg)
{
    (void)p, (void)arg;
    return 0;
}

__attribute__((constructor(101))) static void first(void)
{
    kept = strdup("from the first constructor");
    atexit(at_exit);
    churn("constructor");
}

__attribute__((destructor(101))) static void last(void)
{
    churn("destructor");
    free(kept);
}

int main(int argc, char **argv)
{
    early_touch();
    if (getenv("EARLY") == NULL)
        return 2;
    if (argc > 1 && strcmp(argv[1], "reclaimer") == 0 &&
        plim_reclaimer_add("x", give_nothing, NULL, PLIM_LOW) < 0)
        return 3;
    churn("main");
    return 0;
}
