/*
 * What plimsoll doctor knows: first everything is gathered, then it is judged, then printed. Only
 * gathering touches the system.
 */
#ifndef PLIM_CMD_DOCTOR_H
#define PLIM_CMD_DOCTOR_H

#include "../cgroup.h"
#include "../limits.h"
#include "../options.h"

enum {
    DOCTOR_FINDINGS_MAX = 24,
    DOCTOR_TEXT_MAX = 600,
};

struct doctor_request {
    const char *root;  /* of a captured tree; "" for this machine */
    int pid;           /* 0: the doctor itself */
    unsigned affinity; /* CPUs; 0: ask the kernel */
};

/* One level of the memory hierarchy. UNLIMITED where nothing is known. */
struct doctor_level {
    uint64_t hard, high, usage, reclaimable;
    size_t path_len; /* of cgroup.memory.path */
};

enum doctor_weight {
    DOCTOR_WARNING, /* looks wrong, or is good to know */
    DOCTOR_PROBLEM, /* Plimsoll does not work, or not as it was told to */
};

struct doctor_finding {
    enum doctor_weight weight;
    char text[DOCTOR_TEXT_MAX];
};

struct diagnosis {
    struct doctor_request request;
    struct cgroup cgroup;
    struct cgroup_memory memory;
    uint64_t millicpus; /* quota; UNLIMITED: none */
    uint64_t ram, swap; /* of the machine; swap 0: none, UNLIMITED: unknown */
    unsigned affinity, effective_cpus;
    uint64_t effective_bytes;
    struct options options;
    struct limits limits;
    unsigned level_count;
    struct doctor_level levels[CGROUP_LEVELS_MAX + 1];
    char thp[32];                  /* the kernel's setting; "" if unknown */
    char library[512];             /* that run would preload; "" if there is none */
    bool maps_readable, preloaded; /* the process asked about has the library loaded */
    unsigned finding_count;
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
};

/* 0, or -ESRCH where there is no such process. */
int doctor_gather(const struct doctor_request *request, struct diagnosis *ret);
/* Adds findings from what was gathered. */
void doctor_judge(struct diagnosis *diagnosis);
void doctor_add(struct diagnosis *diagnosis, enum doctor_weight weight, const char *format, ...)
    PLIM_PRINTF(3, 4);

void doctor_print_text(const struct diagnosis *diagnosis);
void doctor_print_json(const struct diagnosis *diagnosis);

#endif
