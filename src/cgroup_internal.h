/*
 * For the cgroup_*.c files only: text in spans, files read line by line, and the working memory of
 * one resolution.
 */
#ifndef PLIM_CGROUP_INTERNAL_H
#define PLIM_CGROUP_INTERNAL_H

#include "cgroup.h"

/* A piece of a buffer; no NUL behind it. */
struct span {
    const char *at;
    size_t len;
};

/* Cuts off and returns what stands before the next `end` character; drops that character. */
struct span span_cut(struct span *rest, char end);
bool span_is(struct span s, const char *word);
/* Whether a comma-separated list holds exactly this word. */
bool span_lists(struct span list, const char *word);
/* Whole span as a number. */
bool span_number(struct span s, uint64_t *ret);
/* Whether path lies at dir or below it, by components. dir: "" or "/a/b". */
bool path_within(const char *path, const char *dir);

/* A file of any size, read by lines through a fixed buffer. */
struct lines {
    int fd;
    char *buf;
    size_t cap, start, end; /* buf[start..end) is still to be given out */
    uint64_t offset;        /* of the file, behind buf[end) */
    bool eof;
    int error;     /* the first, -errno; ends the lines */
    bool shifted;  /* the buffer no longer holds the file from its start */
    bool skipping; /* inside a line whose head, one buffer long, was given out */
};

int lines_open(struct lines *lines, const char *path, char *buf, size_t cap);
/* The next line without its end; valid until the next call. A line longer than the buffer comes
 * cut short. A read error counts as the end, and is noted. */
bool lines_next(struct lines *lines, struct span *ret);
/* Back to the first line; costs no system call where the whole file is in the buffer. */
void lines_rewind(struct lines *lines);
void lines_close(struct lines *lines);
/* Reads until there is the end of a line or of the file; bytes or -errno. Adds no NUL. */
long line_read(int fd, char *buf, size_t len);

enum controller { CONTROLLER_MEMORY, CONTROLLER_CPU, CONTROLLER_COUNT };
extern const char *const controller_names[CONTROLLER_COUNT];

/* What /proc/self/cgroup says of one controller. */
struct membership {
    int version;                /* 0: not listed */
    char path[CGROUP_PATH_MAX]; /* as seen from the namespace root; "" where unknown */
};

/* Where a cgroup's path lies relative to the root of a mount; later values are worth more. */
enum relation {
    RELATION_OUTSIDE, /* not below the mount */
    RELATION_DEEPER,  /* `depth` directories whose names nothing tells, then `below` */
    RELATION_INSIDE,  /* at the mount point + `below` */
};

struct place {
    enum relation relation;
    unsigned depth;
    const char *below; /* "" or "/a/b"; part of the membership's path */
};

/*
 * Both paths as seen from the namespace root, root "" for "/". The kernel writes no more ".." than
 * needed: the root of a mount that lies n levels above the namespace root is n times "..", and
 * nothing tells the names of the directories between.
 */
struct place place_relate(const char *root, const char *path);

enum {
    /* Holds any mountinfo line that names a cgroup: two paths, each byte written as \ooo. */
    MOUNT_LINE_MAX = 40 * 1024,
    SEARCH_DEPTH_MAX = 24,
    SEARCH_DIRS_MAX = 4096, /* directories opened by one search: about 10 ms */
    FILE_PATH_MAX = CGROUP_PATH_MAX + 512,
};

/*
 * The memory of one cgroup_resolve: mapped for the call, since it is too much for a small thread's
 * stack and must neither come from the heap nor be shared between threads. Untouched pages cost
 * nothing.
 */
struct resolution {
    const char *root;
    int pid;
    int error;   /* the first that passes: what was found may lack something */
    bool listed; /* /proc/self/cgroup could be read */
    bool mounts_known;
    struct membership own[CONTROLLER_COUNT];
    struct lines mounts;
    struct place place;                                           /* of the mount that was found */
    char point[CGROUP_PATH_MAX];                                  /* its mount point, "" for / */
    char file[FILE_PATH_MAX];                                     /* the path being opened */
    char line_root[CGROUP_PATH_MAX], line_point[CGROUP_PATH_MAX]; /* of one mount, decoded */
    char text[4096];                                              /* cgroup, cgroup.procs */
    char mount_text[MOUNT_LINE_MAX];
    char dents[SEARCH_DEPTH_MAX][2048] __attribute__((aligned(8)));
};

/* Notes an error that may pass; rc: what opening or reading returned. */
void resolution_note(struct resolution *res, long rc);
/* root + dir + name in res->file; NULL if it is too long. */
const char *resolution_file(struct resolution *res, const char *dir, const char *name);

/* Opens mountinfo and sets mounts_known, if it has any line that makes sense. */
void mounts_open(struct resolution *res);
/* Finds the visible mount that shows the controller's hierarchy best; result in res->place and
 * res->point. -ENOENT: none. */
int mounts_find(struct resolution *res, enum controller controller, int version, const char *path);

/* Finds the directory for a place that is RELATION_DEEPER; its path, without root, goes to ret. */
int search_by_pid(struct resolution *res, char *ret, size_t len);

/* Parses the next word of *text and moves *text behind it: a number, or UNLIMITED for "max", a
 * negative number or one as large as v1's "no limit". -EINVAL: *ret is untouched. */
int limit_parse(const char **text, uint64_t *ret);

/* Reads a line or more of a small file at a level, up to len - 1 bytes and a NUL; 0 or -errno. */
int level_read(const char *root, const struct cgroup_dir *dir, size_t path_len, const char *name,
               char *buf, size_t len);
/* Reads a whole file at a level, through the held `file` unless that is NULL; likewise. */
int level_read_file(const char *root, const struct cgroup_dir *dir, size_t path_len,
                    const char *name, struct sys_file *file, char *buf, size_t len);
/* 0, or why the level is gone or cannot be read now; `rc`: what reading one of its files returned.
 * Only the process's own directory can be missing: those further up exist as long as it does. */
int level_gone(const char *root, const struct cgroup_dir *dir, size_t path_len, int rc);

/* Reads the numbers behind up to 32 keys of memory.stat at a level: values[i], where bit i of
 * *ret_found is set. file: held, or NULL. */
int level_stat(const char *root, const struct cgroup_dir *dir, size_t path_len,
               struct sys_file *file, const char *const *keys, uint64_t *values, unsigned count,
               unsigned *ret_found);

#endif
