/* When a flight record is written, and in which order, see record.h. */
#include "record_internal.h"

#include "lock.h"
#include "log.h"
#include "publish.h"

/* What a record may take, the heap profile aside. */
static const uint64_t work_ns = 100 * NS_PER_MS;
static const uint64_t first_wait_ns = 60 * NS_PER_S;
/* After a record that could not be written. */
static const uint64_t retry_ns = NS_PER_S;
/* Where two threads are about to abort, the second waits this long for the first. */
static const uint64_t last_wait_ns = NS_PER_S;
static const uint64_t longest_wait_ns = 3600 * NS_PER_S;

/* For what happens at once the first time, later 1, 2, 4... minutes apart. Relaxed: only times. */
struct pace {
    _Atomic uint32_t count;
    _Atomic uint64_t last_ns;
};

struct record {
    struct lock lock; /* held from begin() to end(): guards the rest */
    struct record_out out;
    char path[RECORD_PATH_MAX];
    char cut_path[RECORD_PATH_MAX]; /* the file that a failed attempt left; "": none */
    int said;                       /* the -errno logged since the last success; 0: none */
    uint64_t spent_ns;              /* elapsed, on what must not be lost */
    /* Written with the lock held, read by all. Relaxed: whether one is due is asked again with the
     * lock held. */
    struct pace written;
    _Atomic uint64_t failed_ns; /* the latest failure; 0: none since one was written */
};
/* At level critical, and of requests that are refused or abort the program: a reclaimer that never
 * returns keeps the first for ever. */
static struct record usual, last;
static struct pace refusals; /* those that are logged */

void record_check(const struct options *options)
{
    if (options->record_dir[0] == '\0')
        return;
    if (options->wish.kind == LIMIT_OFF)
        log_line(LOG_WARN, "PLIMSOLL_RECORD: no level turns critical with PLIMSOLL_LIMIT=off, "
                           "expected a limit; no record");
    int rc = sys_may_write(options->record_dir);
    if (rc < 0)
        log_bad_directory("PLIMSOLL_RECORD", options->record_dir, rc,
                          "no record unless that changes");
}

static bool pace_due(const struct pace *p, uint64_t now_ns)
{
    uint32_t n = atomic_load_explicit(&p->count, memory_order_relaxed);
    uint64_t wait = n == 0 ? 0 : u64_min(first_wait_ns << (n - 1), longest_wait_ns);
    /* The look that asks may be older than the last record. */
    return n < RECORD_PROCESS_MAX &&
           u64_less(now_ns, atomic_load_explicit(&p->last_ns, memory_order_relaxed)) >= wait;
}

/* true for one of several threads; the time first, so that none takes the next turn as well. */
static bool pace_take(struct pace *p, uint64_t now_ns)
{
    uint32_t n = atomic_load_explicit(&p->count, memory_order_relaxed);
    if (!pace_due(p, now_ns))
        return false;
    atomic_store_explicit(&p->last_ns, now_ns, memory_order_relaxed);
    return atomic_compare_exchange_strong_explicit(&p->count, &n, n + 1, memory_order_release,
                                                   memory_order_relaxed);
}

static bool due(const struct record *r, uint64_t now_ns)
{
    uint64_t failed_ns = atomic_load_explicit(&r->failed_ns, memory_order_relaxed);
    return pace_due(&r->written, now_ns) &&
           (failed_ns == 0 || u64_less(now_ns, failed_ns) >= retry_ns);
}

bool record_due(const struct options *options, enum plim_level level, uint64_t now_ns)
{
    return options->record_dir[0] != '\0' && level >= PLIM_CRITICAL && due(&usual, now_ns);
}

/* Reads the stats page between two looks: other threads may write it. false: none is filled yet. */
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
            break; /* else takes what is there: better than no record */
    }
    return true;
}

/* Makes the file and writes what must not be lost. */
static int write_first(struct record *r, const struct record_job *job, const struct page_view *view)
{
    struct record_out *o = &r->out;
    uint64_t wall_ns = sys_wall_ns(), start_ns = sys_now_ns();
    int fd = record_make(job->options->record_dir, wall_ns, r->path);
    if (fd < 0) {
        r->path[0] = '\0';
        return fd;
    }
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

/* Only now other files go: what an earlier attempt left, and the oldest in the directory. */
static void succeed(struct record *r, const struct record_job *job)
{
    (void)pace_take(&r->written, job->now_ns);
    atomic_store_explicit(&r->failed_ns, 0, memory_order_relaxed);
    r->said = 0;
    if (r->cut_path[0] != '\0')
        (void)sys_unlink(r->cut_path);
    r->cut_path[0] = '\0';
    record_make_room(job->options->record_dir, r->path, &r->out.scratch);
}

/* Whether the file that the failed attempt left is kept: not if it is empty, nor if an earlier one
 * is kept. */
static bool keep_cut(struct record *r)
{
    char first[2];
    if (r->path[0] == '\0')
        return false;
    if (r->cut_path[0] != '\0' || sys_read_file(r->path, first, sizeof(first)) == 0) {
        (void)sys_unlink(r->path);
        return false;
    }
    memcpy(r->cut_path, r->path, sizeof(r->cut_path));
    return true;
}

/* Logged once, and again if the reason changes, as attempts follow each other closely. */
static void fail(struct record *r, const struct record_job *job, int rc)
{
    bool cut = keep_cut(r), said = rc == r->said;
    sys_file_close(&r->out.file);
    atomic_store_explicit(&r->failed_ns, job->now_ns, memory_order_relaxed);
    r->said = rc;
    if (cut)
        record_say_cut(job, r->path, rc);
    else if (!said)
        record_say_none(job, rc);
}

/* Under the lock. A signal handler may fork meanwhile: the child has no file then, and must not
 * remove the parent's. */
static bool begin_locked(struct record *r, const struct record_job *job,
                         const struct page_view *view)
{
    uint32_t pid = sys_pid();
    int rc = write_first(r, job, view);
    if (sys_pid() != pid && r->out.file.fd_plus_1 == 0)
        return false;
    if (rc == 0)
        succeed(r, job);
    else
        fail(r, job, rc);
    return rc == 0;
}

static bool begin(struct record *r, const struct record_job *job, uint64_t within_ns, bool if_due)
{
    struct page_view view;
    if (job->options->record_dir[0] == '\0' || (if_due && !due(r, job->now_ns)) ||
        !view_page(&view) || !lock_take_within(&r->lock, within_ns))
        return false;
    /* Another thread may have written a record since. */
    bool begun = (!if_due || due(r, job->now_ns)) && begin_locked(r, job, &view);
    if (!begun)
        lock_release(&r->lock);
    return begun;
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
        record_say_cut(job, r->path, o->error);
    else
        record_say_done(job, r->path, r->spent_ns + sys_now_ns() - start_ns);
    sys_file_close(&o->file);
    lock_release(&r->lock);
}

bool record_begin(const struct record_job *job)
{
    return begin(&usual, job, 0, true);
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

/* On a thread of the program's: a handler that forks would meet locks of jemalloc's held by it. */
static void write_undisturbed(void (*write)(void *), struct record_job *job)
{
    uint64_t signals = sys_block_signals();
    sys_on_own_stack(write, job);
    sys_restore_signals(signals);
}

void record_now(const struct options *options, uint64_t now_ns)
{
    struct record_job job = {.options = options, .reason = "critical", .now_ns = now_ns};
    write_undisturbed(write_now, &job);
}

bool record_refusal_is_news(uint64_t now_ns)
{
    return pace_take(&refusals, now_ns);
}

static void write_refused(void *arg)
{
    const struct record_job *job = arg;
    if (begin(&last, job, 0, true))
        end(&last, job);
}

void record_refused(const struct options *options, uint64_t now_ns)
{
    struct record_job job = {.options = options, .reason = "refused", .now_ns = now_ns};
    if (options->record_dir[0] != '\0' && due(&last, now_ns))
        write_undisturbed(write_refused, &job);
}

static void write_last(void *arg)
{
    const struct record_job *job = arg;
    if (begin(&last, job, last_wait_ns, false))
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
    r->cut_path[0] = '\0';
    r->said = 0;
    atomic_store_explicit(&r->written.count, 0, memory_order_relaxed);
    atomic_store_explicit(&r->failed_ns, 0, memory_order_relaxed);
}

void record_fork_child(void)
{
    reset(&usual);
    reset(&last);
    atomic_store_explicit(&refusals.count, 0, memory_order_relaxed);
}
