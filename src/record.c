/* When a flight record is written, and in which order, see record.h. */
#include "record_internal.h"

#include "lock.h"
#include "log.h"
#include "publish.h"

/* All but the heap profile. */
static const uint64_t work_ns = 100 * NS_PER_MS;
static const uint64_t first_wait_ns = 60 * NS_PER_S;
/* Where two threads are about to abort, the second one waits so long for the first. */
static const uint64_t last_wait_ns = NS_PER_S;
static const uint64_t longest_wait_ns = 3600 * NS_PER_S;

struct record {
    struct lock lock; /* held from begin() to end(): guards the rest */
    struct record_out out;
    char path[RECORD_PATH_MAX];
    uint64_t spent_ns; /* on what must not be lost */
};
/* Those at level critical, and the one before the program aborts: a reclaimer that never returns
 * keeps the first for ever. */
static struct record usual, last;
static _Atomic uint32_t written;
static _Atomic uint64_t written_ns; /* when, most lately */

void record_check(const struct options *options)
{
    int rc = options->record_dir[0] == '\0' ? 0 : sys_may_write(options->record_dir);
    if (rc < 0)
        log_bad_directory("PLIMSOLL_RECORD", options->record_dir, rc,
                          "no record unless that changes");
}

bool record_due(const struct options *options, enum plim_level level, uint64_t now_ns)
{
    uint32_t n = atomic_load_explicit(&written, memory_order_relaxed);
    if (options->record_dir[0] == '\0' || level < PLIM_CRITICAL || n >= RECORD_PROCESS_MAX)
        return false;
    uint64_t wait = n == 0 ? 0 : u64_min(first_wait_ns << (n - 1), longest_wait_ns);
    /* The look that asks may be older than the last record. */
    return u64_less(now_ns, atomic_load_explicit(&written_ns, memory_order_relaxed)) >= wait;
}

static void complain(const struct record_job *job, int rc)
{
    log_bad_directory("PLIMSOLL_RECORD", job->options->record_dir, rc, "no record");
}

static void say_done(const struct record *r, const struct record_job *job, uint64_t took_ns)
{
    char line[RECORD_PATH_MAX + 128];
    struct fmt f = FMT_INIT(line);
    fmt_str(&f, job->reason);
    fmt_str(&f, ": flight record ");
    fmt_str(&f, r->path);
    fmt_str(&f, " (");
    fmt_u64(&f, took_ns / NS_PER_MS);
    fmt_str(&f, " ms)");
    log_line(LOG_WARN, line);
}

/* The stats page between two looks: other threads may be at it. false: none has been filled yet. */
static bool view_page(struct page_view *ret)
{
    const struct page *page = publish_page();
    if (page == NULL)
        return false;
    const _Atomic uint32_t *sequence = &page->snapshot.sequence;
    for (unsigned tries = 0; tries < 8; tries++) {
        if (page_parse(page, sizeof(*page), ret) < 0)
            return false;
        atomic_thread_fence(memory_order_acquire);
        if (ret->sequence % 2 == 0 &&
            ret->sequence == atomic_load_explicit(sequence, memory_order_relaxed))
            break; /* else what there is: better than no record */
    }
    return true;
}

/* The file, and what must not be lost in it. */
static int write_first(struct record *r, const struct record_job *job, const struct page_view *view)
{
    struct record_out *o = &r->out;
    uint64_t wall_ns = sys_wall_ns(), start_ns = sys_now_ns();
    int fd = record_make(job->options->record_dir, wall_ns, &o->scratch, r->path);
    if (fd < 0)
        return fd;
    o->f = (struct fmt)FMT_INIT(o->buf);
    o->error = sys_file_adopt(&o->file, fd);
    if (o->error == 0) {
        record_write_head(o, job, view, wall_ns);
        record_flush(o);
        record_write_samples(o, view);
        record_flush(o);
    }
    r->spent_ns = sys_now_ns() - start_ns;
    return o->error;
}

static bool begin(struct record *r, const struct record_job *job, uint64_t within_ns)
{
    struct page_view view;
    if (job->options->record_dir[0] == '\0' || !view_page(&view) ||
        !lock_take_within(&r->lock, within_ns))
        return false;
    atomic_fetch_add_explicit(&written, 1, memory_order_relaxed);
    atomic_store_explicit(&written_ns, job->now_ns, memory_order_relaxed);
    int rc = write_first(r, job, &view);
    if (rc < 0) {
        complain(job, rc);
        sys_file_close(&r->out.file);
        lock_release(&r->lock);
    }
    return rc == 0;
}

static void end(struct record *r, const struct record_job *job)
{
    struct record_out *o = &r->out;
    struct record_resident resident = {0};
    if (o->file.fd_plus_1 == 0)
        return; /* a forked child's: the parent ends it */
    uint64_t start_ns = sys_now_ns(), deadline_ns = start_ns + u64_less(work_ns, r->spent_ns);
    record_write_reclaimers(o);
    record_write_resident(o, &resident);
    record_flush(o);
    record_write_jemalloc(o, deadline_ns);
    record_flush(o);
    record_write_maps(o, &resident, deadline_ns);
    record_flush(o);
    if (job->profile && o->error == 0)
        record_write_profile(o, r->path);
    record_line(o, RECORD_LAST_LINE);
    record_line_end(o);
    record_flush(o);
    if (o->error < 0)
        complain(job, o->error);
    else
        say_done(r, job, r->spent_ns + sys_now_ns() - start_ns);
    sys_file_close(&o->file);
    lock_release(&r->lock);
}

bool record_begin(const struct record_job *job)
{
    return record_due(job->options, PLIM_CRITICAL, job->now_ns) && begin(&usual, job, 0);
}

void record_end(const struct record_job *job)
{
    end(&usual, job);
}

static void write_now(void *arg)
{
    const struct record_job *job = arg;
    if (record_begin(job))
        record_end(job);
}

void record_now(const struct options *options, uint64_t now_ns)
{
    struct record_job job = {.options = options, .reason = "critical", .now_ns = now_ns};
    sys_on_own_stack(write_now, &job);
}

static void write_last(void *arg)
{
    const struct record_job *job = arg;
    if (begin(&last, job, last_wait_ns))
        end(&last, job);
}

void record_last(const struct options *options, const char *reason)
{
    struct record_job job = {
        .options = options, .reason = reason, .now_ns = sys_now_ns(), .profile = true};
    sys_on_own_stack(write_last, &job);
}

static void reset(struct record *r)
{
    sys_file_close(&r->out.file);
    lock_reset(&r->lock);
}

void record_fork_child(void)
{
    reset(&usual);
    reset(&last);
    atomic_store_explicit(&written, 0, memory_order_relaxed);
}
