/* Loads a plug-in for itself alone (RTLD_LOCAL), several times: plugin_host PLUGIN [deep | unloads]
 *
 * deep: with RTLD_DEEPBIND.
 * unloads: only a reference that is left behind could keep this plug-in from being unloaded.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int load_and_run(const char *path, int how)
{
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL | how);
    if (plugin == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 100;
    }
    int (*run)(void) = (int (*)(void))dlsym(plugin, "plugin_run");
    int rc = run != NULL ? run() : 101;
    dlclose(plugin);
    return rc;
}

int main(int argc, char **argv)
{
    bool deep = argc > 2 && strcmp(argv[2], "deep") == 0;
    bool unloads = argc > 2 && strcmp(argv[2], "unloads") == 0;
    for (int i = 0; argc > 1 && i < 3; i++) {
        int rc = load_and_run(argv[1], deep ? RTLD_DEEPBIND : 0);
        if (rc != 0)
            return rc;
        if (unloads && dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != NULL)
            return 102;
    }
    puts("done");
    return 0;
}
