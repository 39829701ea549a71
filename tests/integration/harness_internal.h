/* Between the two halves of the harness; tests include harness.h alone. */
#ifndef PLIM_TEST_HARNESS_INTERNAL_H
#define PLIM_TEST_HARNESS_INTERNAL_H

#include "harness.h"

struct cgroup;

/* libcgroup's view of the box, to be freed with cgroup_free(). */
struct cgroup *box_open(const struct box *box);

#endif
