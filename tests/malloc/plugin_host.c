/* Loads a plug-in for itself alone (RTLD_LOCAL), several times: plugin_host PLUGIN */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    for (int i = 0; argc > 1 && i < 3; i++) {
        void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (plugin == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 100;
        }
        int (*run)(void) = (int (*)(void))dlsym(plugin, "plugin_run");
        int rc = run != NULL ? run() : 101;
        if (rc != 0)
            return rc;
        dlclose(plugin);
    }
    puts("done");
    return 0;
}
