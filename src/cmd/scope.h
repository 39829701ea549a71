/*
 * A fresh cgroup with limits, for one program: made, filled, asked what happened, removed.
 *
 * One directory on v2; on v1 one for each controller, each under the caller's own cgroup there.
 * Functions return 0 or -errno.
 */
#ifndef PLIM_CMD_SCOPE_H
#define PLIM_CMD_SCOPE_H

#include "place.h"

#include <sys/types.h>

struct scope_limits {
    uint64_t memory;    /* bytes; UNLIMITED: none */
    uint64_t millicpus; /* thousandths of a CPU; UNLIMITED: none */
};

struct scope_group {
    const struct cgroup_dir *own; /* the caller's */
    struct place place;
    struct cgroup_dir dir; /* of the new cgroup; path "" until it is made */
    unsigned controls;     /* CONTROL_... bits */
};

struct scope {
    struct scope_group groups[2];
    unsigned count;
    char failure[CGROUP_PATH_MAX + 512]; /* what could not be done, where a function failed */
};

/* What the kernel did to the processes in it. */
struct scope_toll {
    uint64_t kills;      /* processes killed for want of memory */
    bool at_own_limit;   /* the limit of the scope was reached, not only one above */
    uint64_t peak_bytes; /* UNLIMITED if the kernel does not tell */
};

/* limits must set at least one. On failure nothing is left behind. */
int scope_create(const struct scope_limits *limits, struct scope *ret);
int scope_attach(struct scope *scope, pid_t pid);
void scope_read_toll(const struct scope *scope, struct scope_toll *ret);
/* Kills what is still in it, then removes it. */
int scope_remove(struct scope *scope);

#endif
