/* Between the parts of the harness; tests include harness.h alone. */
#ifndef PLIM_TEST_HARNESS_INTERNAL_H
#define PLIM_TEST_HARNESS_INTERNAL_H

#include "harness.h"

struct cgroup;

/* Where the controllers are; from harness_begin() on. */
extern struct mounts {
    char *memory; /* allocated by libcgroup, never freed */
    char *cpu;    /* NULL where there is no such controller */
    int version;  /* of cgroups, that memory is on */
} mounts;

/* libcgroup's view of the box, to be freed with cgroup_free(). */
struct cgroup *box_open(const struct box *box);
/* libcgroup knows nothing of threaded groups. */
bool box_is_threaded(const struct box *box);
/* Puts a process into the box, with all its threads. Returns 0 or -errno. */
int box_adopt(const struct box *box, pid_t pid);

#endif
