/*
 * Runs before all constructors, even the C library's: the environment is not known yet. Asks for
 * memory or for the number of CPUs, as the program's second argument says.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static void begin(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[2] : "";
    if (environ != NULL)
        return;
    if (strcmp(what, "malloc") == 0)
        free(malloc(100));
    else if (strcmp(what, "sysconf") == 0 && sysconf(_SC_NPROCESSORS_ONLN) < 1)
        abort();
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(int, char **) = begin;
