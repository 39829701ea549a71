/* One line on stderr, see log.h. */
#include "log.h"

#include "sys.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* Written at boot; relaxed, as a late reader only prints a line more or less. */
static _Atomic int wanted = LOG_WARN;

/* Written once, while the program is loaded. */
static struct sys_file at_start;

void log_begin(void)
{
    (void)sys_file_adopt(&at_start, 2); /* fails where it is closed */
}

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
    fmt_printable(&f, text, strlen(text));
    f.cap++;
    fmt_str(&f, "\n");
    if (sys_takes_lines(2, &at_start))
        sys_write_gently(2, line, f.len);
}

const char *log_reason(int rc)
{
    switch (-rc) {
    case ENOENT:
        return "no such directory";
    case ENOTDIR:
        return "not a directory";
    case EACCES:
    case EPERM:
        return "not allowed";
    case EROFS:
        return "read-only";
    case ENOSPC:
    case EDQUOT:
        return "full";
    case EFBIG:
        return "files may not be that large";
    case EEXIST:
        return "somebody else's file has the name";
    case EBADF:
        return "the program closed its descriptor";
    case EIO:
        return "an error of the device";
    case EMFILE:
    case ENFILE:
        return "no descriptor left";
    default:
        return "the file cannot be made";
    }
}

void log_bad_directory(const char *name, const char *dir, int rc, const char *instead)
{
    char line[512];
    struct fmt f = FMT_INIT(line);
    fmt_str(&f, name);
    fmt_str(&f, ": bad value \"");
    fmt_str(&f, dir);
    fmt_str(&f, "\" (");
    fmt_str(&f, log_reason(rc));
    fmt_str(&f, "), expected a directory to write to; ");
    fmt_str(&f, instead);
    log_line(LOG_WARN, line);
}
