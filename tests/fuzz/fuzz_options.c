/*
 * Feeds the reader of the environment with any variables, and the readers of numbers with their
 * values. The input is what /proc/PID/environ would hold: entries that each end in NUL. Built with
 * clang's libFuzzer; run by tests/fuzz/run.
 */
#include "../../src/fmt.h"
#include "../../src/options.h"
#include "input.h"

#include <stdlib.h>
#include <string.h>

/* A complaint is one line, whatever the variable held, and names the variable and what was
 * expected. */
static void check_line(void *count, const char *line)
{
    size_t len = strlen(line);
    hold(len > 20 && len < 512 && strchr(line, '\n') == NULL && strchr(line, '\r') == NULL);
    hold(strncmp(line, "PLIMSOLL", 8) == 0 && strstr(line, "expected ") != NULL);
    ++*(unsigned *)count;
}

static bool is_directory(const char path[OPTION_PATH_MAX])
{
    return memchr(path, '\0', OPTION_PATH_MAX) != NULL && (path[0] == '\0' || path[0] == '/');
}

static void check(const struct options *o)
{
    switch (o->wish.kind) {
    case LIMIT_PERCENT:
        hold(o->wish.value >= 1000 && o->wish.value <= 100000);
        break;
    case LIMIT_BYTES:
        hold(o->wish.value >= MiB && o->wish.value != UNLIMITED);
        break;
    case LIMIT_OFF:
        hold(o->wish.value == 0);
        break;
    }
    hold(o->reclaim_cpu >= 100 && o->reclaim_cpu <= 100000);
    hold(o->cpus <= 4096);
    hold(o->heap_profile == 0 || (o->heap_profile >= 12 && o->heap_profile <= 30));
    hold((unsigned)o->on_limit <= ON_LIMIT_ABORT && (unsigned)o->wish.profile <= PROFILE_TIGHT);
    hold((unsigned)o->thread <= THREAD_OFF && (unsigned)o->thp <= THP_NEVER);
    hold((unsigned)o->notify <= NOTIFY_SYSTEMD && (unsigned)o->log <= LOG_DEBUG);
    hold((unsigned)o->stats <= STATS_DIR);
    hold((o->stats == STATS_DIR) == (o->stats_dir[0] != '\0') && is_directory(o->stats_dir));
    hold(is_directory(o->record_dir) && is_directory(o->runtime_dir) && is_directory(o->temp_dir));
    for (const struct pressure_watch *w = &o->pressure;; w = &o->pressure_outer) {
        hold(memchr(w->path, '\0', sizeof(w->path)) != NULL);
        hold(memchr(w->write, '\0', sizeof(w->write)) != NULL);
        if (w == &o->pressure_outer)
            break;
    }
}

/* Numbers that are printed and read again must be the same. */
static void numbers(const char *text)
{
    char buf[24], small[8];
    struct fmt f = FMT_INIT(buf), s = FMT_INIT(small);
    const char *end;
    uint64_t v = 0, again = 0;
    (void)fmt_parse_percent(text, &v);
    if (fmt_parse_size(text, &v) == 0) {
        fmt_u64(&f, v);
        hold(fmt_parse_u64(buf, &end, &again) == 0 && *end == '\0' && again == v);
        hold(fmt_parse_size(buf, &again) == 0 && again == v);
        fmt_bytes(&s, v);
        fmt_i64(&s, (int64_t)v);
    }
    fmt_str(&s, text);
    hold(s.len < sizeof(small) && small[s.len] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct entries entries;
    struct options options;
    unsigned complaints = 0;
    entries_of(&entries, data, len);
    options_parse(entries.list, &options, check_line, &complaints);
    check(&options);
    hold(complaints <= entries.count);
    for (size_t i = 0; i < entries.count; i++) {
        const char *equals = strchr(entries.list[i], '=');
        numbers(equals != NULL ? equals + 1 : entries.list[i]);
    }
    free(entries.copy);
    return 0;
}
