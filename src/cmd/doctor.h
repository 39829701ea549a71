/*
 * What plimsoll doctor knows. First everything is gathered, then judged, then printed; only
 * gathering touches the system.
 */
#ifndef PLIM_CMD_DOCTOR_H
#define PLIM_CMD_DOCTOR_H

#include "../cgroup.h"
#include "../limits.h"
#include "../options.h"

enum {
    DOCTOR_FINDINGS_MAX = 48,
    DOCTOR_TEXT_MAX = 600,
};

/*
 * What a finding is about: X(id, words). docs/production.md has a line of the same words for each.
 */
#define DOCTOR_TOPICS(X)                                                                           \
    X(LIMIT, "memory limit")                                                                       \
    X(HEADROOM, "headroom")                                                                        \
    X(SOFT_LIMIT, "soft limit")                                                                    \
    X(HIGH, "memory.high")                                                                         \
    X(SWAP, "swap")                                                                                \
    X(CACHE, "page cache")                                                                         \
    X(TMPFS, "tmpfs")                                                                              \
    X(NEIGHBOURS, "other processes")                                                               \
    X(OOM_SCORE, "oom_score_adj")                                                                  \
    X(OOM_GROUP, "memory.oom.group")                                                               \
    X(CPU, "CPU quota")                                                                            \
    X(THP, "huge pages")                                                                           \
    X(VARIABLES, "PLIMSOLL variables")                                                             \
    X(LEFTOVERS, "leftover variables")                                                             \
    X(LIBRARY, "library")                                                                          \
    X(PRELOAD, "preload")                                                                          \
    X(MALLOCS, "other mallocs")                                                                    \
    X(SECURE, "set-user-id")                                                                       \
    X(STATIC, "static programs")                                                                   \
    X(HEAPS, "other heaps")                                                                        \
    X(STATS, "stats page")                                                                         \
    X(NAMESPACES, "namespaces")                                                                    \
    X(RECORD, "record")                                                                            \
    X(ADDRESS_SPACE, "address space")

enum doctor_topic {
#define X(id, words) DOCTOR_##id,
    DOCTOR_TOPICS(X)
#undef X
        DOCTOR_TOPIC_COUNT
};
extern const char *const doctor_topic_words[DOCTOR_TOPIC_COUNT];

struct doctor_request {
    const char *root; /* of a captured tree; "" for this machine */
    int pid;          /* 0: the doctor itself */
    int affinity;     /* CPUs; 0: ask the kernel */
};

/* The request is about a process that runs here. */
static inline bool doctor_has_process(const struct doctor_request *r)
{
    return r->root[0] == '\0' && r->pid > 0;
}

/* One level of the memory hierarchy. UNLIMITED where nothing is known. */
struct doctor_level {
    struct cgroup_level limit;
    uint64_t usage, reclaimable;
    uint64_t shmem;       /* tmpfs and shared memory, within the usage */
    size_t oom_group_len; /* path of the highest level up to this with memory.oom.group; or 0 */
};

/* A directory that the process will write to, seen with its rights. */
struct doctor_dir {
    char path[OPTION_PATH_MAX]; /* "": none is named, or none of several can be written to */
    int rc;                     /* 0, or -errno: why it cannot be written to */
    bool untold;                /* we may not look into the process's file system */
    uint64_t free;              /* bytes; UNLIMITED if unknown */
};

enum { DOCTOR_WORDS_MAX = 200 };

/* The process asked about; without one, what a program started from here would inherit. */
struct doctor_process {
    char leftovers[DOCTOR_WORDS_MAX];   /* variables that tune another malloc */
    char malloc_conf[DOCTOR_WORDS_MAX]; /* the value; "" if not set */
    char before[DOCTOR_WORDS_MAX];      /* another malloc in LD_PRELOAD, in front of ours */
    char behind[DOCTOR_WORDS_MAX];      /* the same, behind ours or without ours */
    bool preload_asked;                 /* ours is in LD_PRELOAD */
    bool maps_readable, preloaded;      /* it has the library loaded */
    bool page_mapped;                   /* it has a stats page, as also the static library makes */
    char page[CGROUP_PATH_MAX]; /* its stats page, where this command can read it; else "" */
    char comm[32];              /* its present name */
    bool limit_set;             /* its soft limit is not what its variables say */
    char sanitizer[32];         /* "libasan" and the like, where loaded; else "" */
    const char *other_heap;     /* whose heap is not malloc's, such as "Java"; else NULL */
    bool secure;                /* AT_SECURE */
    bool is_static;             /* has no dynamic linker that could preload anything */
    bool own_malloc;            /* in its own file, where it comes before a preloaded one */
    bool linked;                /* and that one is libplimsoll.a's */
    bool elsewhere;             /* in another pid namespace than this command */
    bool oom_score_known;
    int oom_score;
    uint64_t address_space; /* RLIMIT_AS */
    struct doctor_dir stats, record;
    unsigned neighbours; /* others in its own cgroup without the library */
    char neighbour[32];  /* one of them */
};

enum doctor_weight {
    DOCTOR_NOTE,    /* good to know */
    DOCTOR_WARNING, /* looks wrong */
    DOCTOR_PROBLEM, /* Plimsoll does not work, or not as it was told to */
};

struct doctor_finding {
    enum doctor_weight weight;
    enum doctor_topic topic;
    char text[DOCTOR_TEXT_MAX];
};

struct diagnosis {
    struct doctor_request request;
    struct cgroup cgroup;
    struct cgroup_memory memory;
    bool above_hidden;  /* v2: there are levels above the mount point, which may have limits too */
    uint64_t millicpus; /* quota; UNLIMITED: none */
    uint64_t ram, swap; /* of the machine; swap 0: none, UNLIMITED: unknown */
    unsigned affinity, effective_cpus;
    uint64_t effective_bytes;
    uint64_t nearest_bytes; /* the nearest limit, which PLIMSOLL_LIMIT in bytes must be below */
    uint64_t binding_bytes; /* the limit that binds, by the process's page; else the tightest */
    struct options options;
    struct limits limits;
    unsigned level_count;
    struct doctor_level levels[CGROUP_LEVELS_MAX + 1];
    size_t oom_group_len; /* as in a level, but from the process's own up to the mount point */
    char thp[32];         /* the kernel's setting; "" if unknown */
    char library[512];    /* the one that run would preload; "" if none */
    struct doctor_process process; /* not filled for a captured tree */
    unsigned finding_count;
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
};

/* 0, or -ESRCH where there is no such process. */
int doctor_gather(const struct doctor_request *request, struct diagnosis *ret);
/* The limits that are in force, as the process's page tells them; after doctor_gather(). */
void doctor_gather_page(struct diagnosis *diagnosis);
/* The limits by the process's variables, were the level with that hard limit to bind; LIMITS_NONE:
 * there is no such level. */
struct limits doctor_limits_under(const struct diagnosis *diagnosis, uint64_t hard);
static inline bool doctor_level_binds(const struct diagnosis *d, const struct doctor_level *level)
{
    return d->binding_bytes != UNLIMITED && cgroup_level_bytes(&level->limit) == d->binding_bytes;
}
/* Parts of it. entries: "NAME=value", NULL-terminated. */
void doctor_gather_environment(const char *const *entries, struct doctor_process *ret);
/* All but the environment; takes request, cgroup and options from the diagnosis. */
void doctor_gather_process(struct diagnosis *diagnosis);
/* Fills what the program's file tells: is_static, other_heap, own_malloc and linked. */
void doctor_gather_elf(int pid, struct doctor_process *ret);
/* path is as the process sees it; pid 0: as this command sees it. */
void doctor_gather_dir(int pid, const char *path, struct doctor_dir *ret);

/* Adds findings from what was gathered. */
void doctor_judge(struct diagnosis *diagnosis);
void doctor_judge_process(struct diagnosis *diagnosis); /* a part of it */
void doctor_add(struct diagnosis *diagnosis, enum doctor_weight weight, enum doctor_topic topic,
                const char *format, ...) PLIM_PRINTF(4, 5);

/* Removes from its texts what a terminal would act on. */
void doctor_print_text(struct diagnosis *diagnosis);
void doctor_print_json(const struct diagnosis *diagnosis);

#endif
