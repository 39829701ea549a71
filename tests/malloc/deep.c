/* A plug-in that is loaded with RTLD_DEEPBIND, as PHP loads its extensions: frees what the C
 * library allocated, and loads a library from its own directory, by its own search path. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

int plugin_run(void);

int plugin_run(void)
{
    char *volatile copy = strdup("by the first malloc in the search order");
    if (copy == NULL)
        return 103;
    free(copy);
    void *beside = dlopen("libown_new.so", RTLD_NOW | RTLD_LOCAL);
    return beside == NULL || dlclose(beside) != 0 ? 104 : 0;
}
