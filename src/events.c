/* What the kernel tells the watcher unasked, see events.h. */
#include "events.h"

#include "fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

/* The watcher's interval at the line (watch_line_ns): events make it look no more often than
 * that. */
static const uint64_t quiet_min_ns = 20 * NS_PER_MS;
static const uint64_t quiet_max_ns = NS_PER_S;
/* Another process that raises the word ends no poll: so a poll looks at the word this often. */
static const uint64_t unheard_ns = NS_PER_S;
/* A source that was lost or could not be opened is tried again after this time, which doubles. */
static const uint64_t retry_min_ns = NS_PER_S, retry_max_ns = 60 * NS_PER_S;

void events_follow(struct events *e, const struct cgroup_dir *dir, size_t path_len,
                   uint64_t generation, const uint64_t thresholds[EVENTS_THRESHOLDS])
{
    struct events_aim *aim = &e->aim;
    int version = dir != NULL ? dir->version : 0;
    bool moved = version != aim->dir.version ||
                 (version != 0 && (generation != aim->generation || path_len != aim->path_len));
    bool limits = version == 1 && memcmp(aim->thresholds, thresholds, sizeof(aim->thresholds)) != 0;
    if (!moved && !limits)
        return;
    if (moved) {
        sys_file_close(&e->source);
        e->retry_ns = retry_min_ns;
        if (version != 0)
            aim->dir = *dir;
    }
    aim->dir.version = version;
    aim->path_len = path_len;
    aim->generation = generation;
    memcpy(aim->thresholds, thresholds, sizeof(aim->thresholds));
    e->stale = true;
}

/* --- the source --- */

/* The lock keeps forks from falling between the opening and the note of it. */
static int open_file(struct events *e, const char *name, int flags, struct sys_file *file)
{
    char path[CGROUP_PATH_MAX];
    int rc = cgroup_level_file("", &e->aim.dir, e->aim.path_len, name, path, sizeof(path));
    if (rc < 0)
        return rc;
    lock_take(&e->lock);
    rc = sys_file_open(file, path, flags);
    lock_release(&e->lock);
    return rc;
}

static int open_eventfd(struct events *e, struct sys_file *file)
{
    lock_take(&e->lock);
    int rc = sys_file_eventfd(file);
    lock_release(&e->lock);
    return rc;
}

/* Reading marks what has happened so far as seen. False: no longer ours, or its cgroup is gone. */
static bool source_clear(const struct events *e)
{
    char text[64];
    uint64_t count;
    int fd = e->source.fd_plus_1 - 1;
    if (!sys_file_is_ours(&e->source))
        return false;
    if (e->aim.dir.version == 1)
        return sys_read(fd, &count, sizeof(count)) == (long)sizeof(count);
    return sys_pread(fd, text, sizeof(text), 0) > 0;
}

static int open_events(struct events *e)
{
    int rc = open_file(e, "memory.events", O_RDONLY, &e->source);
    return rc < 0 ? rc : source_clear(e) ? 0 : -EIO;
}

/* Has the kernel write to the eventfd when usage crosses the threshold, either way. The kernel may
 * wait for all CPUs (RCU), so no lock is held. */
static int register_threshold(const struct events *e, uint64_t bytes)
{
    char text[64];
    struct fmt f = FMT_INIT(text);
    fmt_i64(&f, e->source.fd_plus_1 - 1);
    fmt_str(&f, " ");
    fmt_i64(&f, e->usage.fd_plus_1 - 1);
    fmt_str(&f, " ");
    fmt_u64(&f, bytes);
    if (!sys_file_is_ours(&e->control)) /* the last call may have taken long */
        return -EBADF;
    long rc = sys_write(e->control.fd_plus_1 - 1, text, f.len);
    return rc < 0 ? (int)rc : 0;
}

static int open_thresholds(struct events *e)
{
    int rc = open_file(e, "cgroup.event_control", O_WRONLY, &e->control);
    if (rc == 0)
        rc = open_file(e, "memory.usage_in_bytes", O_RDONLY, &e->usage);
    if (rc == 0)
        rc = open_eventfd(e, &e->source);
    for (unsigned i = 0; i < EVENTS_THRESHOLDS && rc == 0; i++)
        rc = register_threshold(e, e->aim.thresholds[i]);
    sys_file_close(&e->usage);
    sys_file_close(&e->control);
    return rc;
}

static void source_lost(struct events *e)
{
    sys_file_close(&e->source);
    e->stale = true;
}

/* Without the eventfd nobody could end a poll: then there are the timers only, while none can be
 * had, or for good once the program has closed it. Returns 0 or -errno. */
static int wake_open(struct events *e)
{
    if (e->wake.fd_plus_1 == 0)
        return open_eventfd(e, &e->wake);
    return sys_file_is_ours(&e->wake) ? 0 : -EBADF;
}

int events_listen(struct events *e, const struct pressure_watch *watch)
{
    if (e->outer_settled)
        return 0;
    lock_take(&e->lock);
    int rc = outer_open(&e->outer, watch);
    lock_release(&e->lock);
    e->outer_settled = !sys_error_passes(rc);
    return e->outer_settled ? rc : 0;
}

bool events_outer_told(struct events *e)
{
    bool told = e->outer_told;
    e->outer_told = false;
    return told;
}

static bool has_outer(const struct events *e)
{
    return e->outer.file.fd_plus_1 != 0;
}

static int source_open(struct events *e)
{
    int rc = wake_open(e);
    if (rc < 0)
        return rc;
    return e->aim.dir.version == 1 ? open_thresholds(e) : open_events(e);
}

/* Opens what there is to open; true: there is something to poll. */
static bool open_all(struct events *e, uint64_t now)
{
    if (!e->stale && e->source.fd_plus_1 != 0 && !sys_file_is_ours(&e->source))
        source_lost(e);
    if (e->stale && now >= e->not_before_ns) {
        sys_file_close(&e->source);
        int rc = e->aim.dir.version != 0 ? source_open(e) : 0;
        if (rc < 0)
            sys_file_close(&e->source);
        e->stale = rc < 0;
        e->retry_ns = rc < 0 ? u64_min(e->retry_ns * 2, retry_max_ns) : retry_min_ns;
        e->not_before_ns = now + e->retry_ns;
    }
    return (e->source.fd_plus_1 != 0 || has_outer(e)) && wake_open(e) == 0;
}

/* --- waiting --- */

static void wake_clear(const struct events *e)
{
    uint64_t count;
    if (sys_file_is_ours(&e->wake))
        (void)sys_read(e->wake.fd_plus_1 - 1, &count, sizeof(count));
}

/* 1: there was an event; 0: none; -errno: polling failed. poll(2) passes over descriptors below
 * 0. */
static int poll_all(struct events *e, bool source, uint64_t ns)
{
    short wanted = e->aim.dir.version == 1 ? POLLIN : POLLPRI;
    struct pollfd fds[] = {
        {.fd = e->wake.fd_plus_1 - 1, .events = POLLIN},
        {.fd = source ? e->source.fd_plus_1 - 1 : -1, .events = wanted},
        {.fd = e->outer.file.fd_plus_1 - 1, .events = e->outer.events},
    };
    int rc = sys_poll(fds, ARRAY_LEN(fds), ns);
    if (rc <= 0)
        return rc;
    if (fds[0].revents != 0)
        wake_clear(e);
    if (fds[2].revents != 0) {
        int told = outer_take(&e->outer, fds[2].revents);
        e->outer_told = told > 0;
        if (told < 0)
            sys_file_close(&e->outer.file);
    }
    /* Cleared whatever revents says: a removed cgroup's file is ready for ever, a closed one
     * POLLNVAL. */
    if (fds[1].revents == 0)
        return e->outer_told;
    if (!source_clear(e))
        source_lost(e);
    return 1;
}

/* What the last event led to decides how soon the next is heard. */
static void judge_last(struct events *e, uint64_t now, bool pressed)
{
    if (pressed || e->quiet_ns == 0)
        e->quiet_ns = quiet_min_ns;
    else if (e->told)
        e->quiet_ns = u64_min(e->quiet_ns * 2, quiet_max_ns);
    if (e->told)
        e->quiet_until_ns = now + e->quiet_ns;
    e->told = false;
}

bool events_wait(struct events *e, const _Atomic uint32_t *word, uint32_t seen, uint64_t ns,
                 bool pressed)
{
    uint64_t now = sys_now_ns();
    judge_last(e, now, pressed);
    bool asleep = ns == UINT64_MAX; /* page cache that meets the limit must not end that */
    uint64_t deaf =
        ns <= quiet_min_ns || (asleep && !has_outer(e)) ? ns : u64_less(e->quiet_until_ns, now);
    if (deaf > 0 &&
        (sys_futex_wait_shared(word, seen, u64_min(deaf, ns)) != -ETIMEDOUT || deaf >= ns))
        return false;
    now = sys_now_ns();
    uint64_t end = asleep ? UINT64_MAX : now + ns - deaf;
    if (!(asleep ? wake_open(e) == 0 : open_all(e, now))) {
        (void)sys_futex_wait_shared(word, seen, asleep ? ns : end - now);
        return false;
    }
    int rc = 0;
    atomic_store_explicit(&e->polls, true, memory_order_seq_cst);
    for (; rc == 0 && atomic_load_explicit(word, memory_order_seq_cst) == seen && now < end &&
           sys_file_is_ours(&e->wake);
         now = sys_now_ns())
        rc = poll_all(e, !asleep, u64_min(end - now, unheard_ns));
    atomic_store_explicit(&e->polls, false, memory_order_seq_cst);
    e->told = rc > 0;
    /* No memory for the poll, fewer descriptors allowed than it names, or a filter forbids it. */
    if (rc < 0)
        (void)sys_futex_wait_shared(word, seen, u64_min(u64_less(end, now), retry_min_ns));
    return e->told;
}

void events_wake(struct events *e, const _Atomic uint32_t *word)
{
    const uint64_t one = 1;
    (void)sys_futex_wake_shared(word, 1);
    if (atomic_load_explicit(&e->polls, memory_order_seq_cst) && sys_file_is_ours(&e->wake))
        (void)sys_write(e->wake.fd_plus_1 - 1, &one, sizeof(one));
}

/* --- fork --- */

bool events_fork_prepare(struct events *e, uint64_t within_ns)
{
    return lock_take_unless_own(&e->lock, within_ns);
}

void events_fork_parent(struct events *e)
{
    lock_release(&e->lock);
}

void events_fork_child(struct events *e)
{
    struct sys_file *files[] = {&e->wake, &e->source, &e->usage, &e->control, &e->outer.file};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        sys_file_close(files[i]);
    lock_reset(&e->lock);
    atomic_store_explicit(&e->polls, false, memory_order_seq_cst);
    e->outer_settled = e->told = e->outer_told = false;
    e->stale = true;
    e->not_before_ns = e->quiet_until_ns = e->quiet_ns = 0;
}
