/* The users and groups that a process acts as. */
#ifndef PLIM_CMD_RIGHTS_H
#define PLIM_CMD_RIGHTS_H

#include "../base.h"

#include <sys/types.h>

enum { RIGHTS_GROUPS_MAX = 64 };

struct rights {
    uid_t real_user, user, saved_user; /* `user` and `group` are the effective ones */
    gid_t group;
    size_t group_count;
    gid_t groups[RIGHTS_GROUPS_MAX]; /* the first RIGHTS_GROUPS_MAX of them */
};

/* By /proc/PID/status. -errno of reading it; -EBADMSG: it lacks them. */
int rights_read(uint64_t pid, struct rights *ret);

#endif
