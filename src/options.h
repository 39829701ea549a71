/*
 * The environment variables: one table with names, defaults, accepted values and help, and the
 * only code that reads the environment. The command and the docs print the same table.
 */
#ifndef PLIM_OPTIONS_H
#define PLIM_OPTIONS_H

#include "base.h"

/* X(id, variable, default, accepted values, meaning) */
#define OPTIONS_TABLE(X)                                                                           \
    X(ENABLED, "PLIMSOLL", "on", "on, off", "off: plain jemalloc, nothing is watched")             \
    X(LIMIT, "PLIMSOLL_LIMIT", "90%", "1% to 100%, bytes with K M G T or Ki Mi Gi Ti, off",        \
      "soft limit: a share of the hard limit, or bytes; off: never reclaim")                       \
    X(ON_LIMIT, "PLIMSOLL_ON_LIMIT", "throttle", "none, throttle, fail, abort",                    \
      "at the hard limit with nothing left to reclaim: throttle waits, bounded; fail gives "       \
      "ENOMEM to requests of 1 MiB and more; abort ends the program")                              \
    X(RECLAIM_CPU, "PLIMSOLL_RECLAIM_CPU", "5%", "0.1% to 100%",                                   \
      "cap on the share of one CPU's time spent purging, except to prevent a kill")                \
    X(PROFILE, "PLIMSOLL_PROFILE", "balanced", "relaxed, balanced, tight",                         \
      "how early and how hard to purge")                                                           \
    X(THREAD, "PLIMSOLL_THREAD", "auto", "auto, on, off",                                          \
      "the watcher thread: auto starts it once the heap matters; off also means no callbacks")     \
    X(CPUS, "PLIMSOLL_CPUS", "auto", "auto, 1 to 4096",                                            \
      "CPU count used for arenas and plim_cpus()")                                                 \
    X(REPORT, "PLIMSOLL_REPORT", "off", "off, cpus, memory, or both with a comma",                 \
      "what sysconf(3), get_nprocs(3) and sysinfo(2) tell the program of the cgroup in place of "  \
      "the host: CPUs by the quota, memory by the limit")                                          \
    X(THP, "PLIMSOLL_THP", "auto", "auto, default, never",                                         \
      "transparent huge pages: auto keeps the heap off them where a limit is known; default "      \
      "leaves it to the kernel")                                                                   \
    X(STATS, "PLIMSOLL_STATS", "auto", "auto, off, an absolute path",                              \
      "directory of the stats page that plimsoll top and metrics read; auto: the first of "        \
      "XDG_RUNTIME_DIR, /dev/shm, TMPDIR or /tmp that can be written to")                          \
    X(RECORD, "PLIMSOLL_RECORD", "off", "off, an absolute path",                                   \
      "directory for the record that is written when the level turns critical")                    \
    X(HEAP_PROFILE, "PLIMSOLL_HEAP_PROFILE", "off", "off, 4Ki to 1Gi",                             \
      "sample the heap once in about so many allocated bytes, for heap profiles: 512Ki to find a " \
      "leak, 4Mi to leave it on")                                                                  \
    X(NOTIFY, "PLIMSOLL_NOTIFY", "off", "off, systemd",                                            \
      "systemd: tells the program of pressure by systemd's protocol, MEMORY_PRESSURE_WATCH")       \
    X(LOG, "PLIMSOLL_LOG", "warn", "off, error, warn, info, debug",                                \
      "what is said on stderr, one line each")

enum option_id {
#define X(id, ...) OPTION_##id,
    OPTIONS_TABLE(X)
#undef X
        OPTION_COUNT
};

struct option_info {
    const char *name;
    const char *fallback; /* the default, as it would be written */
    const char *accepts;
    const char *help;
};
extern const struct option_info option_table[OPTION_COUNT];

enum limit_kind { LIMIT_PERCENT, LIMIT_BYTES, LIMIT_OFF };
enum on_limit { ON_LIMIT_NONE, ON_LIMIT_THROTTLE, ON_LIMIT_FAIL, ON_LIMIT_ABORT };
enum profile { PROFILE_RELAXED, PROFILE_BALANCED, PROFILE_TIGHT };
enum thread_mode { THREAD_AUTO, THREAD_ON, THREAD_OFF };
enum thp_mode { THP_AUTO, THP_DEFAULT, THP_NEVER };
enum notify_mode { NOTIFY_OFF, NOTIFY_SYSTEMD };
enum stats_mode { STATS_AUTO, STATS_OFF, STATS_DIR };
enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

enum { OPTION_PATH_MAX = 256 }; /* with its NUL */

/* What a service manager set for the program by systemd's protocol (MEMORY_PRESSURE_WATCH): texts
 * with their NUL. */
enum { PRESSURE_PATH_MAX = 512, PRESSURE_WRITE_MAX = 256 };
struct pressure_watch {
    char path[PRESSURE_PATH_MAX];   /* "": nothing; "/dev/null": there shall be none */
    char write[PRESSURE_WRITE_MAX]; /* to be written to it once opened, in Base64; "": nothing */
};
/* A parent, or an earlier program of this process, may have put a path of its own in the first two;
 * it keeps what a service manager had set in the _OUTER ones. */
#define PRESSURE_WATCH       "MEMORY_PRESSURE_WATCH"
#define PRESSURE_WRITE       "MEMORY_PRESSURE_WRITE"
#define PRESSURE_WATCH_OUTER "MEMORY_PRESSURE_WATCH_OUTER"
#define PRESSURE_WRITE_OUTER "MEMORY_PRESSURE_WRITE_OUTER"
/* Our own paths name a descriptor, which no other program has. */
#define PRESSURE_OWN_PREFIX "/proc/self/fd/"

/* Where the soft limit is wanted, and how far below it purging starts. */
struct limit_wish {
    enum limit_kind kind;
    uint64_t value; /* thousandths of a percent, or bytes, by kind */
    enum profile profile;
};

struct options {
    bool enabled;
    struct limit_wish wish;
    enum on_limit on_limit;
    uint64_t reclaim_cpu; /* thousandths of a percent of one CPU */
    enum thread_mode thread;
    unsigned cpus; /* 0: auto */
    bool report_cpus, report_memory;
    enum thp_mode thp;
    enum stats_mode stats;
    char stats_dir[OPTION_PATH_MAX]; /* by stats_mode; else "" */
    /* XDG_RUNTIME_DIR and TMPDIR, for the mode auto; "" where not set, or no absolute path. Copies:
     * programs overwrite their environment to show a title. */
    char runtime_dir[OPTION_PATH_MAX], temp_dir[OPTION_PATH_MAX];
    char record_dir[OPTION_PATH_MAX]; /* "": off */
    unsigned heap_profile; /* sampled once in 2 to the power of this many bytes; 0: not */
    enum notify_mode notify;
    /* As the environment has them; notify.c tells which paths are Plimsoll's own. */
    struct pressure_watch pressure, pressure_outer;
    enum log_level log;
};

/* The default of PLIMSOLL_LIMIT, in thousandths of a percent. */
#define LIMIT_PERCENT_DEFAULT (90 * 1000)

/* The least soft limit in bytes, wherever it comes from: less cannot hold even an idle heap, and
 * "90" is a forgotten percent sign. */
#define LIMIT_BYTES_MIN MiB

/* Told of one bad or unknown variable; line has no prefix and no newline. */
typedef void options_complain_fn(void *arg, const char *line);

/*
 * Fills *ret from the defaults, then from env (NULL-terminated "NAME=value" strings, may be NULL).
 * A bad value keeps the default and is complained of, as is an unknown PLIMSOLL_* name.
 * Allocates nothing. complain may be NULL.
 */
void options_parse(const char *const *env, struct options *ret, options_complain_fn *complain,
                   void *arg);

/* The directories where the stats page may be, the likeliest first; returns how many. They live as
 * long as o. */
enum { STATS_DIRS_MAX = 3 };
unsigned options_stats_dirs(const struct options *o, const char *ret[STATS_DIRS_MAX]);

/* The word in the table's list that stands for a value; for options whose enum numbers these
 * words. */
enum { OPTION_WORD_MAX = 16 };
void options_word(enum option_id id, unsigned value, char ret[OPTION_WORD_MAX]);

/* The value of an environment entry "NAME=value" if it has that name; else NULL. */
const char *options_entry_value(const char *entry, const char *name);

/* Parses one value; 0 or -EINVAL (*ret untouched). */
int options_set(enum option_id id, const char *value, struct options *ret);

#endif
