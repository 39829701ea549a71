/*
 * The calls of libcgroup that the command uses, with errno for errors. Apart from scope.c because
 * libcgroup and cgroup.h each have a `struct cgroup` of their own.
 *
 * Names are relative to the mount, as libcgroup has them. Finding the caller's own cgroup, making
 * directories and reading limits are not left to it: it trusts the first line that matches, uses a
 * cgroup that is already there as if it were new, loses errno, and on v2 wants to write every
 * cgroup.subtree_control from the mount down, which no delegated user may.
 */
#ifndef PLIM_CMD_LIBCG_H
#define PLIM_CMD_LIBCG_H

#include "../base.h"

#include <sys/types.h>

struct libcg_value {
    const char *controller;
    const char *file;
    char text[48];
};

/* Before all others. 0 or -errno. */
int libcg_init(void);
/* 0 if libcgroup finds the controller at this mount point, else -ENODEV. */
int libcg_check_mount(const char *controller, const char *mount, size_t mount_len);
/* Writes the values into a cgroup that exists. *ret_failed: the value that failed. */
int libcg_set(const char *name, const struct libcg_value *values, size_t count,
              const struct libcg_value **ret_failed);
int libcg_attach(const char *name, const char *controller, pid_t pid);
/* Removes it if it is empty, else -EBUSY. Fine if it is gone already. */
int libcg_remove(const char *name, const char *controller);

#endif
