/*
 * Where a new cgroup can be made such that its limits work and no limit on the caller is lost.
 *
 * v1: under the caller's own cgroup. v2 forbids that as a rule, since a cgroup with processes may
 * not hand controllers down. Then, in this order: the caller's processes are moved into a leaf of
 * their own cgroup where they are ours to move; the new cgroup is made beside the caller's, if
 * that one has no limits of its own; further up in the same way.
 */
#ifndef PLIM_CMD_PLACE_H
#define PLIM_CMD_PLACE_H

#include "../cgroup.h"

/* Bits; each is one controller. */
enum { CONTROL_MEMORY = 1, CONTROL_CPU = 2 };
/* Names of our cgroups begin so. */
#define PLACE_PREFIX "plim_run_"

const char *control_name(unsigned control); /* of one bit */

struct place {
    char path[CGROUP_PATH_MAX]; /* directory to make the new cgroup in */
    size_t mount_len;
    char leaf[CGROUP_PATH_MAX]; /* below path; its processes were moved there; "": not moved */
    unsigned enabled;           /* controllers that were turned on for path */
};

/* controls: those that the new cgroup needs. On failure *ret holds the path where it failed. */
int place_find(const struct cgroup_dir *own, unsigned controls, struct place *ret);
/* Undoes what place_find moved, unless others have made use of it since. */
void place_restore(struct place *place);

/* v2: true if leaving this cgroup would leave a limit behind (place_limits.c). */
bool place_has_limits(const char *path);

#endif
