/* The lines on stderr about flight records, see record.h. */
#include "record_internal.h"

#include "log.h"

void record_say_none(const struct record_job *job, int rc)
{
    char line[OPTION_PATH_MAX + 128];
    struct fmt f = FMT_INIT(line);
    fmt_str(&f, "PLIMSOLL_RECORD: cannot write a record in \"");
    fmt_str(&f, job->options->record_dir);
    fmt_str(&f, "\" (");
    fmt_str(&f, log_reason(rc));
    fmt_str(&f, "); no record until that changes");
    log_line(LOG_WARN, line);
}

static void fmt_record(struct fmt *f, const struct record_job *job, const char *path)
{
    fmt_str(f, job->reason);
    fmt_str(f, ": flight record ");
    fmt_str(f, path);
}

void record_say_cut(const struct record_job *job, const char *path, int rc)
{
    char line[RECORD_PATH_MAX + 128];
    struct fmt f = FMT_INIT(line);
    fmt_record(&f, job, path);
    fmt_str(&f, " is cut short (");
    fmt_str(&f, log_reason(rc));
    fmt_str(&f, ")");
    log_line(LOG_WARN, line);
}

void record_say_done(const struct record_job *job, const char *path, uint64_t took_ns)
{
    char line[RECORD_PATH_MAX + 128];
    struct fmt f = FMT_INIT(line);
    fmt_record(&f, job, path);
    fmt_str(&f, " (");
    fmt_u64(&f, took_ns / NS_PER_MS);
    fmt_str(&f, " ms)");
    log_line(LOG_WARN, line);
}
