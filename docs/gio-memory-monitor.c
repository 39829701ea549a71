/*
 * A module for GIO that lets GMemoryMonitor hear systemd's protocol: for programs on GLib that
 * drop their caches at its signal "low-memory-warning". GLib itself listens to a service on the
 * D-Bus, and does not read MEMORY_PRESSURE_WATCH.
 *
 *   cc -shared -fPIC -O2 -o libgio-memory-monitor.so gio-memory-monitor.c \
 *      $(pkg-config --cflags --libs gio-2.0)
 *   GIO_EXTRA_MODULES=DIRECTORY LD_PRELOAD=libplimsoll.so.0 PLIMSOLL_NOTIFY=systemd PROGRAM
 *
 * Where the variable is not set, GMemoryMonitor is what it was.
 */
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    GObject parent;
    GSource *source;
} PressureMonitor;
typedef GObjectClass PressureMonitorClass;

static void monitor_of_interface(GMemoryMonitorInterface *interface);
static void monitor_of_initable(GInitableIface *interface);
G_DEFINE_DYNAMIC_TYPE_EXTENDED(PressureMonitor, pressure_monitor, G_TYPE_OBJECT, 0,
                               G_IMPLEMENT_INTERFACE_DYNAMIC(G_TYPE_INITABLE, monitor_of_initable)
                                   G_IMPLEMENT_INTERFACE_DYNAMIC(G_TYPE_MEMORY_MONITOR,
                                                                 monitor_of_interface))

/* The protocol knows one degree of pressure. */
static gboolean on_pressure(gint fd, GIOCondition condition, gpointer self)
{
    char discarded[512];
    if ((condition & G_IO_IN) != 0) {
        ssize_t len;
        while ((len = read(fd, discarded, sizeof(discarded))) > 0)
            ;
        if (len == 0)
            return G_SOURCE_REMOVE;
    }
    if ((condition & (G_IO_IN | G_IO_PRI)) == 0)
        return G_SOURCE_REMOVE; /* nobody is left who would tell */
    g_signal_emit_by_name(self, "low-memory-warning", G_MEMORY_MONITOR_WARNING_LEVEL_MEDIUM);
    return G_SOURCE_CONTINUE;
}

/* What the file is to be told at first, such as the thresholds of the kernel's. */
static int open_watch(const char *path)
{
    const char *text = g_getenv("MEMORY_PRESSURE_WRITE");
    int fd = open(path, (text ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || !text)
        return fd;
    gsize len;
    guchar *bytes = g_base64_decode(text, &len);
    gboolean written = write(fd, bytes, len) == (ssize_t)len;
    g_free(bytes);
    if (written)
        return fd;
    close(fd);
    return -1;
}

static gboolean monitor_begin(GInitable *initable, GCancellable *cancellable, GError **error)
{
    PressureMonitor *self = (PressureMonitor *)initable;
    const char *path = g_getenv("MEMORY_PRESSURE_WATCH");
    struct stat st;
    (void)cancellable;
    int fd = path && strcmp(path, "/dev/null") != 0 ? open_watch(path) : -1;
    if (fd < 0 || fstat(fd, &st) < 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "MEMORY_PRESSURE_WATCH names no file that can be watched");
        return FALSE;
    }
    self->source = g_unix_fd_source_new(fd, S_ISREG(st.st_mode) ? G_IO_PRI : G_IO_IN);
    g_source_set_callback(self->source, G_SOURCE_FUNC(on_pressure), self, NULL);
    g_source_attach(self->source, g_main_context_get_thread_default());
    return TRUE; /* the descriptor stays open as long as the program runs: so does the monitor */
}

static void pressure_monitor_init(PressureMonitor *self)
{
    (void)self;
}

static void pressure_monitor_class_init(PressureMonitorClass *class)
{
    (void)class;
}

static void pressure_monitor_class_finalize(PressureMonitorClass *class)
{
    (void)class;
}

static void monitor_of_initable(GInitableIface *interface)
{
    interface->init = monitor_begin;
}

static void monitor_of_interface(GMemoryMonitorInterface *interface)
{
    (void)interface;
}

void g_io_module_load(GIOModule *module)
{
    pressure_monitor_register_type(G_TYPE_MODULE(module));
    /* Before GLib's own, which have 30 and, in a sandbox, 40. */
    g_io_extension_point_implement(G_MEMORY_MONITOR_EXTENSION_POINT_NAME,
                                   pressure_monitor_get_type(), "memory-pressure-watch", 50);
}

void g_io_module_unload(GIOModule *module)
{
    (void)module;
}
