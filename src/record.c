/* When a flight record is written, and what it holds, see record.h. */
#include "record_internal.h"

#include "heap_profile.h"
#include "je.h"
#include "lock.h"
#include "log.h"
#include "publish.h"
#include "reclaimers.h"

#include <string.h>

/* All but the heap profile. */
static const uint64_t work_ns = 100 * NS_PER_MS;
/* The kernel takes 35 ms and more for each GiB to list what is mapped. */
static const uint64_t smaps_max_resident = GiB;
static const uint64_t first_wait_ns = 60 * NS_PER_S;
/* The last record of all waits so long for one that is being written. */
static const uint64_t last_wait_ns = NS_PER_S;
static const uint64_t longest_wait_ns = 3600 * NS_PER_S;

static struct {
    struct lock lock; /* held from record_begin() to record_end(): guards the rest */
    struct record_out out;
    char path[RECORD_PATH_MAX];
    uint64_t deadline_ns;
    uint64_t spent_ns; /* on what must not be lost */
    /* Written under the lock, read by record_due() without. */
    _Atomic uint32_t written;
    _Atomic uint64_t last_ns;
} record;

void record_check(const struct options *options)
{
    int rc = options->record_dir[0] == '\0' ? 0 : sys_may_write(options->record_dir);
    if (rc < 0)
        log_bad_directory("PLIMSOLL_RECORD", options->record_dir, rc,
                          "no record unless that changes");
}

bool record_due(const struct options *options, enum plim_level level, uint64_t now_ns)
{
    uint32_t n = atomic_load_explicit(&record.written, memory_order_relaxed);
    if (options->record_dir[0] == '\0' || level < PLIM_CRITICAL || n >= RECORD_PROCESS_MAX)
        return false;
    uint64_t wait = n == 0 ? 0 : u64_min(first_wait_ns << (n - 1), longest_wait_ns);
    return now_ns - atomic_load_explicit(&record.last_ns, memory_order_relaxed) >= wait;
}

static void line_number(struct record_out *o, const char *word, uint64_t n)
{
    record_line(o, word);
    record_number(o, n);
    record_line_end(o);
}

static void line_text(struct record_out *o, const char *word, const char *text)
{
    record_line(o, word);
    record_text(o, text);
    record_line_end(o);
}

static void write_head(struct record_out *o, const struct record_job *job,
                       const struct page_view *view, uint64_t wall_ns)
{
    static const char *const on_limit[] = {"none", "throttle", "fail", "abort"};
    record_line(o, RECORD_FIRST_LINE);
    record_line_end(o);
    line_text(o, "reason", job->reason);
    line_number(o, "pid", view->pid);
    line_number(o, "start_time", view->start_time);
    line_number(o, "uid", view->uid);
    line_text(o, "comm", view->comm);
    line_text(o, "version", view->version);
    line_text(o, "cgroup_path", view->cgroup_path);
    line_text(o, "on_limit", on_limit[job->options->on_limit]);
    line_number(o, "created_ns", view->created_ns);
    line_number(o, "created_at", view->created_at);
    line_number(o, "taken_ns", job->now_ns);
    line_number(o, "taken_at", wall_ns);
    for (unsigned i = 0; i < PAGE_FIELD_COUNT; i++) {
        record_line(o, "value ");
        fmt_str(&o->f, page_fields[i].name);
        record_number(o, view->values[i]);
        record_line_end(o);
    }
}

static void write_samples(struct record_out *o, const struct page_view *view)
{
    for (unsigned i = 0, n = page_sample_count(view); i < n; i++) {
        struct page_sample packed = page_sample_at(view, i);
        struct record_sample s;
        record_sample_unpack(&packed, &s);
        record_line(o, "sample");
#define X(field) record_number(o, s.field);
        RECORD_SAMPLE(X)
#undef X
        record_line_end(o);
    }
}

static void write_reclaimers(struct record_out *o)
{
    struct reclaimer_info info;
    line_number(o, "reclaimers", reclaimers_count(PLIM_CRITICAL));
    for (unsigned slot = 0; slot < RECLAIMERS_MAX; slot++) {
        if (!reclaimers_info(slot, &info))
            continue;
        record_line(o, "reclaimer");
        record_number(o, info.calls);
        record_number(o, info.asked);
        record_number(o, info.freed);
        record_text(o, info.name);
        record_line_end(o);
    }
}

static void write_resident(struct record_out *o, struct record_resident *ret)
{
    if (!record_resident(ret))
        return;
    record_line(o, "resident");
#define X(name) record_number(o, ret->name);
    RECORD_RESIDENT(X)
#undef X
    record_line_end(o);
}

static void write_maps(struct record_out *o, const struct record_resident *resident,
                       uint64_t deadline_ns)
{
    struct record_map_sum sums[RECORD_MAP_COUNT];
    if (resident->anonymous + resident->file + resident->shared > smaps_max_resident)
        return;
    bool all = record_smaps(deadline_ns, sums);
    for (unsigned i = 0; i < RECORD_MAP_COUNT; i++) {
        record_line(o, "map");
        record_text(o, record_maps[i].name);
        record_number(o, sums[i].mappings);
        record_number(o, sums[i].rss);
        record_number(o, sums[i].anonymous);
        record_number(o, sums[i].swap);
        record_line_end(o);
    }
    if (!all)
        line_text(o, "maps_cut", "");
}

struct quoted {
    struct record_out *out;
    bool at_start;
    uint64_t deadline_ns;
};

static void quote(void *arg, const char *text)
{
    struct quoted *q = arg;
    if (sys_now_ns() < q->deadline_ns)
        record_quote(q->out, text, &q->at_start);
}

static void write_jemalloc(struct record_out *o, uint64_t deadline_ns)
{
    struct quoted q = {.out = o, .at_start = true, .deadline_ns = deadline_ns};
    je_stats(quote, &q, "axe"); /* not each arena, no locks, no extents */
    if (!q.at_start)
        record_line_end(o);
}

/* Beside the record, under its name. */
static void write_profile(struct record_out *o)
{
    char path[RECORD_PATH_MAX];
    struct fmt f = FMT_INIT(path);
    if (!heap_profile_is_on())
        return;
    fmt_strn(&f, record.path, (size_t)(strrchr(record.path, '.') - record.path));
    fmt_str(&f, ".heap");
    if (heap_profile_write_new(path) == 0)
        line_text(o, "profile", strrchr(path, '/') + 1);
}

static void complain(const struct record_job *job, int rc)
{
    log_bad_directory("PLIMSOLL_RECORD", job->options->record_dir, rc, "no record");
}

static void say_done(const struct record_job *job, uint64_t took_ns)
{
    char line[RECORD_PATH_MAX + 128];
    struct fmt f = FMT_INIT(line);
    fmt_str(&f, job->reason);
    fmt_str(&f, ": flight record ");
    fmt_str(&f, record.path);
    fmt_str(&f, " (");
    fmt_u64(&f, took_ns / NS_PER_MS);
    fmt_str(&f, " ms)");
    log_line(LOG_WARN, line);
}

/* The file, and what must not be lost in it. */
static int begin(const struct record_job *job)
{
    struct record_out *o = &record.out;
    const struct page *page = publish_page();
    struct page_view view;
    uint64_t wall_ns = sys_wall_ns(), start_ns = sys_now_ns();
    int fd = record_make(job->options->record_dir, wall_ns, record.path);
    if (fd < 0)
        return fd;
    o->f = (struct fmt)FMT_INIT(o->buf);
    o->error = sys_file_adopt(&o->file, fd);
    if (o->error == 0 && page_parse(page, sizeof(*page), &view) == 0) {
        write_head(o, job, &view, wall_ns);
        record_flush(o);
        write_samples(o, &view);
        record_flush(o);
    }
    record.spent_ns = sys_now_ns() - start_ns;
    return o->error;
}

static bool take_turn(const struct record_job *job, uint64_t within_ns)
{
    if (publish_page() == NULL || job->options->record_dir[0] == '\0' ||
        !lock_take_within(&record.lock, within_ns))
        return false;
    uint32_t n = atomic_load_explicit(&record.written, memory_order_relaxed);
    atomic_store_explicit(&record.written, n + 1, memory_order_relaxed);
    atomic_store_explicit(&record.last_ns, job->now_ns, memory_order_relaxed);
    int rc = begin(job);
    if (rc < 0) {
        complain(job, rc);
        sys_file_close(&record.out.file);
        lock_release(&record.lock);
    }
    return rc == 0;
}

bool record_begin(const struct record_job *job)
{
    return record_due(job->options, PLIM_CRITICAL, job->now_ns) && take_turn(job, 0);
}

void record_end(const struct record_job *job)
{
    struct record_out *o = &record.out;
    struct record_resident resident = {0};
    uint64_t start_ns = sys_now_ns();
    record.deadline_ns = start_ns + u64_less(work_ns, record.spent_ns);
    write_reclaimers(o);
    write_resident(o, &resident);
    record_flush(o);
    write_jemalloc(o, record.deadline_ns);
    record_flush(o);
    write_maps(o, &resident, record.deadline_ns);
    record_flush(o);
    if (job->profile && o->error == 0)
        write_profile(o);
    record_line(o, RECORD_LAST_LINE);
    record_line_end(o);
    record_flush(o);
    if (o->error < 0)
        complain(job, o->error);
    else
        say_done(job, record.spent_ns + sys_now_ns() - start_ns);
    sys_file_close(&o->file);
    lock_release(&record.lock);
}

void record_now(const struct options *options, uint64_t now_ns)
{
    const struct record_job job = {.options = options, .reason = "critical", .now_ns = now_ns};
    if (record_begin(&job))
        record_end(&job);
}

void record_last(const struct options *options, const char *reason)
{
    const struct record_job job = {
        .options = options, .reason = reason, .now_ns = sys_now_ns(), .profile = true};
    if (take_turn(&job, last_wait_ns))
        record_end(&job);
}

void record_fork_child(void)
{
    sys_file_close(&record.out.file);
    lock_reset(&record.lock);
    atomic_store_explicit(&record.written, 0, memory_order_relaxed);
}
