/*
 * cgroup directories as files: what the command itself reads and writes in them, and walks below
 * them. All return 0 or more, or -errno. Paths are absolute.
 */
#ifndef PLIM_CMD_CGROUPFS_H
#define PLIM_CMD_CGROUPFS_H

#include "../base.h"

#include <sys/types.h>

/* The text of dir/name without its last newline. */
int cgroupfs_read(const char *dir, const char *name, char *buf, size_t len);
int cgroupfs_write(const char *dir, const char *name, const char *text);
/* The number in dir/name; with key not NULL, the number behind that key. */
int cgroupfs_read_u64(const char *dir, const char *name, const char *key, uint64_t *ret);
/* True if word is one of the blank-separated words of dir/name. */
bool cgroupfs_has_word(const char *dir, const char *name, const char *word);

/* Calls fn with each process of dir itself; stops where fn returns less than 0, and returns that.
 * Processes of a pid namespace that is hidden from us count as pid 0. Returns how many. */
typedef int cgroupfs_process_fn(pid_t pid, void *arg);
int cgroupfs_each_process(const char *dir, cgroupfs_process_fn *fn, void *arg);

/* Calls fn with each directory right below dir; as above. */
typedef int cgroupfs_child_fn(const char *child, void *arg);
int cgroupfs_each_child(const char *dir, cgroupfs_child_fn *fn, void *arg);

/* Makes a new directory: path, or path_2, path_3 and so on where that is taken; path then has that
 * name. -EEXIST if all that are tried are taken. */
int cgroupfs_make_new(char *path, size_t len);
/* Kills every process in dir and below; returns how many were still there. */
int cgroupfs_kill(const char *dir);
/* Removes what lies below dir, which must hold no process. */
int cgroupfs_remove_children(const char *dir);

#endif
