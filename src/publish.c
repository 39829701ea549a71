/* The stats page from the writer's side, see publish.h. */
#include "publish.h"

#include "fmt.h"
#include "log.h"
#include "stats_page_file.h"
#include "sys.h"

#include <errno.h>
#include <plimsoll.h>
#include <string.h>

static const uint64_t retry_min_ns = NS_PER_S, retry_max_ns = 60 * NS_PER_S;
/* A smaller heap is not worth a page of 68 KiB, nor the time to make it. */
static const uint64_t worth_bytes = 2 * MiB;

static struct {
    _Atomic(struct page *) page; /* NULL: none; records read it without the lock */
    bool ended;                  /* no page will be made any more */
    bool complained;
    uint64_t not_before_ns, retry_ns; /* after a failure that passes; the wait doubles */
    uint32_t pid;                     /* the process that made the page */
    uint64_t from;                    /* committed bytes when this process began */
    char path[OPTION_PATH_MAX + PAGE_NAME_MAX];
    uint64_t last[PAGE_FIELD_COUNT]; /* the figures published last */
} own;

/* Should the process be killed now, the page that is left names it by its present name. */
static void renew_comm(struct page_header *h)
{
    char comm[PAGE_COMM_MAX];
    if (page_comm(0, comm))
        memcpy(h->comm, comm, sizeof(h->comm));
}

static void fill_header(struct page_header *h, const struct page_name *name)
{
    page_begin(h);
    h->pid = name->pid;
    h->start_time = name->start_time;
    h->pid_namespace = page_pid_namespace();
    h->image = page_image(0);
    h->uid = sys_euid();
    h->created_ns = sys_now_ns();
    h->created_at = sys_wall_ns();
    renew_comm(h);
    struct fmt version = FMT_INIT(h->version);
    fmt_u64(&version, PLIM_VERSION_MAJOR);
    fmt_str(&version, ".");
    fmt_u64(&version, PLIM_VERSION_MINOR);
    fmt_str(&version, ".");
    fmt_u64(&version, PLIM_VERSION_PATCH);
}

/* A file with our own pid and start time is left from before an exec, or was planted: it is
 * replaced. */
static int create(const char *path)
{
    int fd = sys_create(path);
    if (fd != -EEXIST || sys_unlink(path) < 0)
        return fd;
    return sys_create(path);
}

/* The page's owner may ask things of this process, and end it by cutting the file short. So it must
 * not be a user for whom this process only acts (seteuid, setfsuid, perhaps since a moment ago),
 * nor one to whom a file system assigns all files. */
static int check_owner(int fd)
{
    uint32_t owner, user;
    int rc = sys_owner(fd, &owner);
    rc = rc < 0 ? rc : sys_one_user(&user);
    return rc < 0 ? rc : owner == user ? 0 : -EPERM;
}

static int have_page(struct page *page, const struct page_name *name)
{
    if (page == NULL)
        return -ENOMEM;
    fill_header(&page->header, name);
    own.pid = name->pid;
    atomic_store_explicit(&own.page, page, memory_order_release);
    return 0;
}

static int map_file(int fd, const struct page_name *name)
{
    struct sys_file file;
    int rc = sys_file_adopt(&file, fd);
    if (rc < 0)
        return rc;
    rc = check_owner(fd);
    rc = rc < 0 ? rc : sys_reserve(fd, sizeof(struct page));
    if (rc == 0)
        rc = have_page(sys_map_file(&file, sizeof(struct page)), name);
    sys_file_close(&file);
    return rc;
}

static int make_in(const char *dir, const struct page_name *name)
{
    char text[PAGE_NAME_MAX];
    struct fmt path = FMT_INIT(own.path);
    page_name_print(name, text);
    fmt_str(&path, dir);
    fmt_str(&path, "/");
    fmt_str(&path, text);
    int fd = create(own.path);
    int rc = fd < 0 ? fd : map_file(fd, name);
    if (rc < 0 && fd >= 0)
        (void)sys_unlink(own.path);
    return rc;
}

/* Makes the page in the first directory where that works; *ret_dir: which, or the last one
 * tried. */
static int make_file(const struct options *o, const struct page_name *name, const char **ret_dir)
{
    const char *dirs[STATS_DIRS_MAX];
    unsigned count = options_stats_dirs(o, dirs);
    int rc = -ENOENT;
    for (unsigned i = 0; i < count && rc < 0; i++) {
        *ret_dir = dirs[i];
        rc = make_in(dirs[i], name);
    }
    return rc;
}

/* A page without a file, which nobody else can read: flight records are written from it. */
static void make_private(const struct page_name *name)
{
    own.path[0] = '\0';
    (void)have_page(sys_map(NULL, sizeof(struct page), 4096), name);
}

static void complain(const struct options *o, const char *dir, int rc)
{
    if (own.complained)
        return;
    own.complained = true;
    if (o->stats == STATS_DIR)
        log_bad_directory("PLIMSOLL_STATS", dir, rc, "no stats page");
    else if (o->stats == STATS_AUTO)
        log_line(LOG_INFO, "no stats page: none of XDG_RUNTIME_DIR, /dev/shm and TMPDIR or /tmp "
                           "could be written to");
    if (o->record_dir[0] != '\0' && publish_page() == NULL)
        log_line(LOG_WARN, "PLIMSOLL_RECORD: no memory for what a record is written from, "
                           "expected 68 KiB; no record until there is");
}

/* Tried once: where the page cannot be made there will be none, unless the reason may pass. */
static void make(const struct options *o)
{
    struct page_name name = {.pid = sys_pid()};
    const char *dir = "";
    uint32_t user;
    own.ended = true;
    memset(own.last, 0, sizeof(own.last));
    /* Fails without /proc: nobody could tell then whose page it is. */
    int rc = page_start_time(0, &name.start_time);
    rc = rc < 0 ? rc : sys_one_user(&user);
    rc = rc < 0 ? rc : make_file(o, &name, &dir);
    if (rc >= 0) {
        page_sweep(dir, PAGE_SWEEP_QUICK);
        return;
    }
    if (o->record_dir[0] != '\0') {
        make_private(&name);
    } else if (rc == -EPERM && sys_one_user(&user) < 0) {
        own.ended = false; /* the process acts for another user: later perhaps */
        return;
    }
    complain(o, dir, rc);
    if (publish_page() == NULL && (sys_error_passes(rc) || o->record_dir[0] != '\0')) {
        own.ended = false;
        own.retry_ns = u64_clamp(own.retry_ns * 2, retry_min_ns, retry_max_ns);
        own.not_before_ns = sys_now_ns() + own.retry_ns;
    }
}

bool publish_open(const struct options *o, uint64_t committed, bool watcher)
{
    if (publish_page() != NULL)
        return own.pid == sys_pid(); /* false in a child that no fork handler has seen */
    if (own.ended || (o->stats == STATS_OFF && o->record_dir[0] == '\0'))
        return false;
    if (o->stats == STATS_AUTO && !watcher && u64_less(committed, own.from) < worth_bytes)
        return false;
    if (own.not_before_ns != 0 && sys_now_ns() < own.not_before_ns)
        return false;
    uint64_t signals = sys_block_signals(); /* a handler's child would use its parent's name */
    make(o);
    sys_restore_signals(signals);
    return publish_page() != NULL;
}

/* What was done since the last look is what the counters have grown by. */
static struct page_sample make_sample(const struct publish_look *look, const uint64_t *now)
{
    const uint64_t *was = own.last;
#define GROWN(id) u64_less(now[PAGE_##id], was[PAGE_##id])
    struct page_sample s = {
        .at_ns = now[PAGE_UPDATED],
        .usage = page_pack(now[PAGE_USAGE]),
        .committed = page_pack(look->committed),
        .active = page_pack(look->active),
        .dirty = page_pack(look->dirty),
        .soft = page_pack(now[PAGE_SOFT]),
        .hard = page_pack(now[PAGE_HARD]),
        .purged = page_pack(GROWN(PURGED)),
        .asked = page_pack(GROWN(RECLAIMER_ASKED)),
        .freed = page_pack(GROWN(RECLAIMER_FREED)),
        .request = page_pack(look->request),
        .throttle_us = (uint32_t)u64_min(GROWN(THROTTLE) / 1000, UINT32_MAX),
        .cpu_us = (uint32_t)u64_min(GROWN(RECLAIM_CPU) / 1000, UINT32_MAX),
        .looks = 1,
        .level = (uint8_t)now[PAGE_LEVEL],
    };
    const struct {
        bool happened;
        uint8_t event;
    } events[] = {
        {now[PAGE_LEVEL] != was[PAGE_LEVEL], PAGE_EVENT_LEVEL},
        {GROWN(PURGES) > 0, PAGE_EVENT_PURGE},
        {GROWN(RECLAIMER_CALLS) > 0, PAGE_EVENT_PASS},
        {GROWN(THROTTLE) > 0, PAGE_EVENT_THROTTLE},
        {GROWN(FAILED_REQUESTS) > 0, PAGE_EVENT_REFUSED},
        {now[PAGE_CANNOT_MEET] != was[PAGE_CANNOT_MEET], PAGE_EVENT_MEETS},
        {now[PAGE_CANNOT_MEET] != 0, PAGE_EVENT_CANNOT},
    };
#undef GROWN
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (events[i].happened)
            s.events |= events[i].event;
    return s;
}

/* The peaks of usage and of pages in use are over the looks since the page was made. What a look
 * grants counts, as it may be freed before the next one. */
static void keep_peaks(const struct publish_look *look, uint64_t *now)
{
    const uint64_t usage = now[PAGE_USAGE], *was = own.last;
    now[PAGE_PEAK_USAGE] = u64_max(usage == UNLIMITED ? 0 : usage, was[PAGE_PEAK_USAGE]);
    /* No more than the heap ever held: the kernel may have refused what a look had granted. */
    uint64_t active = u64_min(was[PAGE_PEAK_ACTIVE], now[PAGE_PEAK_COMMITTED]);
    now[PAGE_PEAK_ACTIVE] = u64_max(look->active + look->granted, active);
    now[PAGE_PEAK_COMMITTED] = u64_max(now[PAGE_PEAK_COMMITTED], now[PAGE_PEAK_ACTIVE]);
}

void publish(const struct publish_look *look)
{
    struct page *page = publish_page();
    if (page == NULL) /* a signal handler has forked since, and this is the child */
        return;
    struct page_snapshot *snapshot = &page->snapshot;
    uint64_t now[PAGE_FIELD_COUNT];
    memcpy(now, look->values, sizeof(now));
    keep_peaks(look, now);
    struct page_sample sample = make_sample(look, now);
    page_write_begin(snapshot);
    for (unsigned i = 0; i < PAGE_FIELD_COUNT; i++)
        atomic_store_explicit(&snapshot->values[i], now[i], memory_order_relaxed);
    struct fmt path = FMT_INIT(snapshot->cgroup_path);
    fmt_str(&path, look->cgroup_path);
    snapshot->limit_path_len = look->limit_path_len;
    if (now[PAGE_LEVEL] == PAGE_LEVEL_CRITICAL && own.last[PAGE_LEVEL] != PAGE_LEVEL_CRITICAL)
        renew_comm(&page->header);
    page_ring_add(page->ring, &snapshot->written, &sample);
    page_write_end(snapshot);
    if (page->header.magic[0] == '\0')
        page_seal(&page->header);
    memcpy(own.last, now, sizeof(own.last));
}

struct page *publish_page(void)
{
    return atomic_load_explicit(&own.page, memory_order_acquire);
}

/* Where a signal handler forked, the code that it interrupted may go on writing to the page. So
 * private memory takes the page's place, which costs nothing unless it is touched. */
void publish_fork_child(uint64_t committed)
{
    struct page *page = publish_page();
    if (page != NULL) {
        if (sys_map_over(page, sizeof(*page)) != 0)
            sys_unmap(page, sizeof(*page));
        atomic_store_explicit(&own.page, NULL, memory_order_relaxed);
        own.ended = false;
    }
    own.from = committed;
}

void publish_end(void)
{
    own.ended = true;
    if (publish_page() != NULL && own.pid == sys_pid() && own.path[0] != '\0')
        (void)sys_unlink(own.path);
}
