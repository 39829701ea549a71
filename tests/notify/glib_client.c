/*
 * A service on GLib's main loop.
 *   glib_client fd       watches the file that MEMORY_PRESSURE_WATCH names
 *   glib_client monitor  uses GMemoryMonitor
 */
#include "growing.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <unistd.h>

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
    char discarded[256];
    (void)condition, (void)data;
    while (read(fd, discarded, sizeof(discarded)) > 0)
        ;
    if (errno != EAGAIN)
        return G_SOURCE_REMOVE;
    cache_drop_half();
    return G_SOURCE_CONTINUE;
}

static void on_warning(GMemoryMonitor *monitor, GMemoryMonitorWarningLevel level, gpointer data)
{
    (void)monitor, (void)level, (void)data;
    cache_drop_half();
}

static gboolean on_time(gpointer loop)
{
    if (cache_grow())
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    const char *path = g_getenv("MEMORY_PRESSURE_WATCH");
    if (argc == 2 && strcmp(argv[1], "monitor") == 0) {
        GMemoryMonitor *monitor = g_memory_monitor_dup_default();
        printf("monitor=%s\n", G_OBJECT_TYPE_NAME(monitor));
        g_signal_connect(monitor, "low-memory-warning", G_CALLBACK(on_warning), NULL);
    } else if (path) {
        g_unix_fd_add(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), G_IO_IN, on_readable, NULL);
    }
    g_timeout_add(5, on_time, loop);
    g_main_loop_run(loop);
    cache_report();
    return 0;
}
