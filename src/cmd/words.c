/* Figures as people read them, see words.h. */
#include "words.h"

#include "../fmt.h"

#include <stdio.h>
#include <time.h>

enum { TEXTS = 16, TEXT_MAX = 48 };

static char *next_text(void)
{
    static char texts[TEXTS][TEXT_MAX];
    static unsigned next;
    return texts[next++ % TEXTS];
}

const char *words_number(uint64_t n)
{
    struct fmt f = {.buf = next_text(), .cap = TEXT_MAX};
    fmt_u64(&f, n);
    return f.buf;
}

const char *words_bytes(uint64_t n)
{
    struct fmt f = {.buf = next_text(), .cap = TEXT_MAX};
    fmt_bytes(&f, n);
    return f.buf;
}

const char *words_known(uint64_t n)
{
    return n == UNLIMITED ? "unknown" : words_bytes(n);
}

const char *words_change(int64_t n)
{
    struct fmt f = {.buf = next_text(), .cap = TEXT_MAX};
    fmt_str(&f, n < 0 ? "-" : "+");
    fmt_bytes(&f, n < 0 ? -(uint64_t)n : (uint64_t)n);
    return f.buf;
}

const char *words_span(uint64_t ns)
{
    static const struct {
        double up_to, unit; /* seconds */
        const char *name;
    } units[] = {
        {1e-3, 1e-6, "us"}, {1, 1e-3, "ms"},     {120, 1, "s"},
        {7200, 60, "min"},  {172800, 3600, "h"}, {1e300, 86400, "d"},
    };
    char *text = next_text();
    double seconds = (double)ns / 1e9;
    unsigned i = 0;
    while (seconds >= units[i].up_to)
        i++;
    double n = seconds / units[i].unit;
    (void)snprintf(text, TEXT_MAX, n < 9.95 ? "%.1f %s" : "%.0f %s", n, units[i].name);
    return ns == 0 ? "0" : text;
}

const char *words_time(uint64_t wall_ns)
{
    struct tm tm;
    char *text = next_text();
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    if (wall_ns == 0 || wall_ns == UNLIMITED || gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, TEXT_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        (void)snprintf(text, TEXT_MAX, "at an unknown time");
    return text;
}
