/* One line on stderr, see log.h. */
#include "log.h"

#include "sys.h"

#include <stdatomic.h>

/* Written at boot; relaxed, as a late reader only prints a line more or less. */
static _Atomic int wanted = LOG_WARN;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&wanted, (int)level, memory_order_relaxed);
}

bool log_wanted(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&wanted, memory_order_relaxed);
}

void log_line(enum log_level level, const char *text)
{
    char line[512];
    struct fmt f = FMT_INIT(line);
    if (!log_wanted(level))
        return;
    f.cap--; /* room for the newline even when cut */
    fmt_str(&f, "plimsoll: ");
    fmt_str(&f, text);
    f.cap++;
    fmt_str(&f, "\n");
    sys_write_gently(2, line, f.len);
}
