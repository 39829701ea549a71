/*
 * The stats page: one small file for each process, mapped by the library and read by the command.
 *
 *   DIR/plimsoll.PID.STARTTIME     mode 0600; STARTTIME is field 22 of /proc/PID/stat
 *
 * The library writes it at the end of each look (publish.c). Readers copy it with pread(2) into
 * their own memory and check everything in it: page_parse(). It outlives a SIGKILL, and is then the
 * evidence of what happened before.
 *
 * Native byte order, explicit sizes. A newer minor version only adds fields behind the last one or
 * in what is reserved here; another major version is not read.
 */
#ifndef PLIM_STATS_PAGE_H
#define PLIM_STATS_PAGE_H

#include "base.h"

#include <stdatomic.h>

#define PAGE_MAGIC  "PLIMPAGE"  /* 8 bytes, without a NUL */
#define PAGE_PREFIX "plimsoll." /* of the file's name */

enum {
    PAGE_MAJOR = 1,
    PAGE_MINOR = 0,
    PAGE_PATH_MAX = 256,
    PAGE_COMM_MAX = 16,
    PAGE_FIELDS_MAX = 128, /* room for values; the rest is reserved */
    PAGE_SAMPLES = 1024,   /* a power of two */
    PAGE_SAMPLE_UNIT = 4096,
    PAGE_LEVEL_CRITICAL = 3, /* of PAGE_LEVEL, as plim_level() has it */
};

enum page_unit {
    PAGE_PLAIN,
    PAGE_BYTES,
    PAGE_NS, /* nanoseconds in the page; seconds wherever people and programs see it */
};
enum page_kind {
    PAGE_GAUGE,
    PAGE_COUNTER,
    PAGE_CLOCK, /* a point in monotonic time: readers show its age */
    PAGE_SINCE, /* when what goes on began, 0 if it does not: readers show for how long */
};

/*
 * X(id, name, unit, kind, help): every number of the page, in the order of values[]. The library
 * fills them (stats.c), plim_stats() hands some of them out, and the command prints all of them by
 * these names: as JSON, and as metrics with "plimsoll_" before and "_total" behind counters.
 * UNLIMITED stands for no limit, and for a usage that is not known. New ones come last.
 */
#define PAGE_FIELDS(X)                                                                             \
    X(UPDATED, "updated_seconds", PAGE_NS, PAGE_CLOCK, "When these figures were written.")         \
    X(LEVEL, "level", PAGE_PLAIN, PAGE_GAUGE, "0 normal, 1 low, 2 medium, 3 critical.")            \
    X(CANNOT_MEET, "cannot_meet_limit", PAGE_PLAIN, PAGE_GAUGE,                                    \
      "1 if reclaiming has given too little for 10 s.")                                            \
    X(USAGE, "usage_bytes", PAGE_BYTES, PAGE_GAUGE,                                                \
      "What counts against the limit that binds, at the last look.")                               \
    X(SOFT, "soft_limit_bytes", PAGE_BYTES, PAGE_GAUGE, "Usage is kept below this.")               \
    X(HARD, "hard_limit_bytes", PAGE_BYTES, PAGE_GAUGE,                                            \
      "The limit that binds, where the kernel kills or stalls.")                                   \
    X(LOW, "low_limit_bytes", PAGE_BYTES, PAGE_GAUGE, "Purging of free pages starts here.")        \
    X(CRITICAL, "critical_limit_bytes", PAGE_BYTES, PAGE_GAUGE,                                    \
      "The level is critical from here.")                                                          \
    X(SOURCE, "limit_source", PAGE_PLAIN, PAGE_GAUGE,                                              \
      "What sets the hard limit: 0 nothing, 1 a cgroup, 2 the machine, 3 the user's bytes.")       \
    X(CGROUP_MAX, "cgroup_limit_bytes", PAGE_BYTES, PAGE_GAUGE,                                    \
      "The cgroup's limit, the smallest over all levels.")                                         \
    X(CGROUP_HIGH, "cgroup_high_bytes", PAGE_BYTES, PAGE_GAUGE,                                    \
      "The cgroup's memory.high, the smallest over all levels.")                                   \
    X(CGROUP_VERSION, "cgroup_version", PAGE_PLAIN, PAGE_GAUGE,                                    \
      "Version of the memory controller's cgroups; 0 if there is none.")                           \
    X(CPUS, "cpus", PAGE_PLAIN, PAGE_GAUGE, "CPUs that can be used at once.")                      \
    X(COMMITTED, "heap_committed_bytes", PAGE_BYTES, PAGE_GAUGE, "Pages that the heap holds.")     \
    X(ACTIVE, "heap_active_bytes", PAGE_BYTES, PAGE_GAUGE, "Pages of the heap in use.")            \
    X(DIRTY, "heap_dirty_bytes", PAGE_BYTES, PAGE_GAUGE,                                           \
      "Free pages that a purge would give back.")                                                  \
    X(PEAK_USAGE, "usage_peak_bytes", PAGE_BYTES, PAGE_GAUGE,                                      \
      "The highest usage that a look has found.")                                                  \
    X(PEAK_COMMITTED, "heap_committed_peak_bytes", PAGE_BYTES, PAGE_GAUGE,                         \
      "The most that the heap has ever held.")                                                     \
    X(PEAK_ACTIVE, "heap_active_peak_bytes", PAGE_BYTES, PAGE_GAUGE,                               \
      "The most that a look has found in use, or let be taken.")                                   \
    X(LOOKS, "looks", PAGE_PLAIN, PAGE_COUNTER, "Times the usage was read.")                       \
    X(PURGES, "purges", PAGE_PLAIN, PAGE_COUNTER,                                                  \
      "Times free pages were given back before their age.")                                        \
    X(PURGED, "purged_bytes", PAGE_BYTES, PAGE_COUNTER, "Free pages given back by purges.")        \
    X(RECLAIMER_CALLS, "reclaimer_calls", PAGE_PLAIN, PAGE_COUNTER,                                \
      "Calls of the program's reclaimers.")                                                        \
    X(RECLAIMER_ASKED, "reclaimer_asked_bytes", PAGE_BYTES, PAGE_COUNTER,                          \
      "Bytes asked of reclaimers.")                                                                \
    X(RECLAIMER_FREED, "reclaimer_freed_bytes", PAGE_BYTES, PAGE_COUNTER,                          \
      "Bytes that reclaimers say they let go.")                                                    \
    X(RECLAIM_CPU, "reclaim_cpu_seconds", PAGE_NS, PAGE_COUNTER,                                   \
      "CPU time spent purging and in reclaimers.")                                                 \
    X(THROTTLE, "throttle_seconds", PAGE_NS, PAGE_COUNTER,                                         \
      "Time that allocating threads were made to wait.")                                           \
    X(FAILED_REQUESTS, "failed_requests", PAGE_PLAIN, PAGE_COUNTER,                                \
      "Requests refused by PLIMSOLL_ON_LIMIT=fail.")                                               \
    X(WAKEUPS, "watcher_wakeups", PAGE_PLAIN, PAGE_COUNTER, "Wake-ups of the watcher thread.")     \
    X(WATCHER, "watcher_running", PAGE_PLAIN, PAGE_GAUGE, "1 if there is a watcher thread.")       \
    X(PASS, "reclaimers_running_seconds", PAGE_NS, PAGE_SINCE,                                     \
      "How long the pass of reclaimers that runs has taken so far.")

enum page_field {
#define X(id, ...) PAGE_##id,
    PAGE_FIELDS(X)
#undef X
        PAGE_FIELD_COUNT
};

struct page_field_info {
    const char *name;
    const char *help;
    enum page_unit unit;
    enum page_kind kind;
};
extern const struct page_field_info page_fields[PAGE_FIELD_COUNT];

/* What a value of PAGE_LEVEL is called; "?" if it is none. */
const char *page_level_word(uint64_t level);

/* Written once, before the magic; only comm is renewed. */
struct page_header {
    char magic[8];
    uint32_t major, minor;
    uint32_t header_size; /* of this struct */
    uint32_t total_size;  /* of the file */
    uint32_t snapshot_at; /* offsets from the start of the file */
    uint32_t mailbox_at;
    uint32_t ring_at; /* of the first sample */
    uint32_t sample_size;
    uint32_t sample_count;  /* a power of two */
    uint32_t field_count;   /* how many of values[] are used */
    uint64_t pid;           /* as its own pid namespace numbers it */
    uint64_t start_time;    /* field 22 of /proc/PID/stat: tells reused pids apart */
    uint64_t pid_namespace; /* inode of /proc/self/ns/pid: pid means nothing in another one */
    uint64_t image;         /* AT_RANDOM of the program: differs after exec */
    uint64_t uid;           /* effective, when the page was made */
    uint64_t created_ns;    /* monotonic clock */
    uint64_t created_at;    /* wall clock, nanoseconds since 1970 */
    char comm[PAGE_COMM_MAX];
    char version[16]; /* of the library */
    char reserved[120];
};
_Static_assert(sizeof(struct page_header) == 256, "layout of the header");

/*
 * Written under the look lock, by one thread at a time. The sequence is odd while values, path and
 * ring are being written; a copy is valid if the sequence was the same even number before and after
 * it. A writer that was killed leaves an odd one: then readers take what is there.
 */
struct page_snapshot {
    _Atomic uint32_t sequence;
    uint32_t limit_path_len; /* the start of cgroup_path whose limit binds; 0: not known, or none */
    _Atomic uint64_t written; /* samples ever begun; the last one may still be added to */
    uint64_t reserved[6];
    char cgroup_path[PAGE_PATH_MAX]; /* own memory cgroup as a directory, cut if longer */
    _Atomic uint64_t values[PAGE_FIELDS_MAX];
};
_Static_assert(sizeof(struct page_snapshot) == 64 + 256 + 1024, "layout of the snapshot");
_Static_assert((int)PAGE_FIELD_COUNT <= (int)PAGE_FIELDS_MAX, "room for all fields");

enum page_command {
    PAGE_COMMAND_NONE,
    PAGE_COMMAND_PURGE,   /* result: bytes given back */
    PAGE_COMMAND_LIMIT,   /* argument: bytes, 0 for what PLIMSOLL_LIMIT says; result: in force */
    PAGE_COMMAND_PROFILE, /* path: the file to write a heap profile to */
};

/*
 * For one request at a time, from a process of the same user, or root. The sender withdraws what is
 * still pending, fills argument and path, then command, then raises `request`, then `wake`, and
 * wakes sleepers on `wake`. The watcher executes, sets result, sets `done` to the request's number
 * and wakes sleepers on that. To withdraw, command is set to NONE and `done` to the request's
 * number. A request is written by another process: the library copies and checks it first.
 */
struct page_mailbox {
    _Atomic uint32_t wake;    /* shared futex that the watcher sleeps on; raised to make it look */
    _Atomic uint32_t request; /* number of the last request */
    _Atomic uint32_t done;    /* number of the last one executed or withdrawn; shared futex */
    _Atomic uint32_t command; /* enum page_command; NONE: withdrawn */
    _Atomic uint64_t argument;
    _Atomic int64_t result; /* a value, or -errno */
    _Atomic uint32_t owner; /* pid of the sender that writes a request; 0: free */
    uint32_t reserved0;
    uint64_t reserved[3];
    char path[PAGE_PATH_MAX];
    char reserved1[192];
};
_Static_assert(sizeof(struct page_mailbox) == 512, "layout of the mailbox");

/* What happened in a sample's looks. */
enum page_event {
    PAGE_EVENT_LEVEL = 1,    /* the level changed with it */
    PAGE_EVENT_PURGE = 2,    /* free pages were given back */
    PAGE_EVENT_PASS = 4,     /* reclaimers were called */
    PAGE_EVENT_THROTTLE = 8, /* threads were held back */
    PAGE_EVENT_REFUSED = 16, /* requests were refused */
    PAGE_EVENT_MEETS = 32,   /* "cannot meet the limit" began or ended */
    PAGE_EVENT_CANNOT = 64,  /* "cannot meet the limit" holds */
};

/*
 * One or several looks in a row. Sizes in units of 4 KiB, UINT32_MAX for UNLIMITED and beyond.
 * Usage and heap are those of the look with the highest usage; what was done is summed up.
 */
struct page_sample {
    uint64_t at_ns;   /* monotonic clock, of the first look */
    uint32_t span_us; /* from the first look to the last */
    uint32_t usage, committed, active, dirty, soft, hard;
    uint32_t purged;       /* given back by purges */
    uint32_t asked, freed; /* asked of reclaimers; freed, as they say */
    uint32_t request;      /* the largest request judged */
    uint32_t throttle_us;  /* for which allocating threads were held back */
    uint16_t looks;
    uint8_t level;   /* the highest */
    uint8_t events;  /* enum page_event bits */
    uint32_t cpu_us; /* spent on reclaiming */
};
_Static_assert(sizeof(struct page_sample) == 64, "layout of a sample");

struct page {
    struct page_header header;
    struct page_snapshot snapshot;
    char reserved0[448];
    struct page_mailbox mailbox;
    char reserved1[1536];
    struct page_sample ring[PAGE_SAMPLES]; /* sample number i is at i modulo PAGE_SAMPLES */
};
_Static_assert(offsetof(struct page, snapshot) == 256, "layout of the page");
_Static_assert(offsetof(struct page, mailbox) == 2048, "layout of the page");
_Static_assert(offsetof(struct page, ring) == 4096, "layout of the page");
_Static_assert(sizeof(struct page) == 69632, "layout of the page");
_Static_assert((PAGE_SAMPLES & (PAGE_SAMPLES - 1)) == 0, "a sample's place is a mask away");

/* Fills all of the header that the layout decides, except the magic. */
void page_begin(struct page_header *header);
/* Writes the magic: readers take the header as valid from now on. */
void page_seal(struct page_header *header);

/* Between these two, values, path and ring may be written. */
static inline void page_write_begin(struct page_snapshot *s)
{
    uint32_t sequence = atomic_load_explicit(&s->sequence, memory_order_relaxed);
    atomic_store_explicit(&s->sequence, sequence | 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static inline void page_write_end(struct page_snapshot *s)
{
    uint32_t sequence = atomic_load_explicit(&s->sequence, memory_order_relaxed);
    atomic_store_explicit(&s->sequence, sequence + 1, memory_order_release);
}

/*
 * Adds a look to the ring, into the last sample or as a new one; *written: samples so far. Looks
 * with decisions (events) are kept apart from ordinary ones; both are summed up where they are
 * frequent, so that 1024 samples cover minutes. Under page_write_begin().
 */
void page_ring_add(struct page_sample *ring, _Atomic uint64_t *written,
                   const struct page_sample *look);

/* Bytes in a sample's unit, rounded up, and back. */
uint32_t page_pack(uint64_t bytes);
uint64_t page_unpack(uint32_t units);

/* What a reader gets from a copy. All strings are terminated, all numbers checked. */
struct page_view {
    uint64_t pid, start_time, pid_namespace, image, uid, created_ns, created_at;
    char comm[PAGE_COMM_MAX];
    char version[16];
    char cgroup_path[PAGE_PATH_MAX];
    uint32_t limit_path_len; /* at most the length of that; 0: not known, or no cgroup's */
    uint32_t sequence;
    unsigned known; /* fields that the page has; the others are 0 */
    uint64_t values[PAGE_FIELD_COUNT];
    const struct page_sample
        *ring;          /* inside the copy, not checked further; NULL: not in the copy */
    uint32_t ring_size; /* a power of two */
    uint64_t written;
};

/*
 * Takes a copy of `len` bytes apart; the copy should be aligned to 8 bytes and may hold the start
 * of the file only. 0, or -EBADMSG: no page, cut short, or of another major version. *ret is
 * untouched then.
 */
int page_parse(const void *copy, size_t len, struct page_view *ret);
/* Whether the process that made the page ended, or was stopped, before it wrote the magic. */
bool page_is_unsealed(const void *copy, size_t len);
/* How many samples there are, and the i-th of them, oldest first. */
unsigned page_sample_count(const struct page_view *view);
struct page_sample page_sample_at(const struct page_view *view, unsigned i);

#endif
