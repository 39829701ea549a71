/* Loads a plug-in for itself alone (RTLD_LOCAL), several times: plugin_host PLUGIN [unloads]
 *
 * unloads: the plug-in is one that nothing but a reference left behind keeps from being unloaded.
 */
#include <dlfcn.h>
#include <stdio.h>

static int load_and_run(const char *path)
{
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
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
    for (int i = 0; argc > 1 && i < 3; i++) {
        int rc = load_and_run(argv[1]);
        if (rc != 0)
            return rc;
        if (argc > 2 && dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != NULL)
            return 102;
    }
    puts("done");
    return 0;
}
