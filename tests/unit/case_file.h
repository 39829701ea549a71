/*
 * Captured cgroup trees as test data: reads a .case file and lays its tree out in a directory.
 *
 *   @@ expect                    key=value lines: inputs, and what must be found
 *   @@ tree file [nonl] PATH     contents up to the next @@ line; nonl: no newline at the end
 *   @@ tree dir PATH             an empty directory
 *   @@ expect.after, tree.after  the same, after a change at run time
 *
 * What fails here ends the test through Criterion.
 */
#ifndef PLIM_TEST_CASE_FILE_H
#define PLIM_TEST_CASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CASE_SECTIONS = 2048, CASE_PATH_MAX = 4096 };

struct case_section {
    const char *path; /* of a file or directory; NULL for expect */
    bool after, dir;
    char *text; /* NUL-ended; of a file or of expect */
    size_t len;
};

struct case_file {
    const char *name;
    char *data;
    unsigned count;
    struct case_section sections[CASE_SECTIONS];
};

/* Directory of the .case files: $PLIM_FIXTURES, PLIM_FIXTURES_DIR or beside this file. */
const char *case_directory(void);
/* name: the file's name in that directory. */
void case_load(struct case_file *c, const char *name);
void case_free(struct case_file *c);

/* The value of a key of expect (or expect.after) in buf; false if there is no such key. */
bool case_value(const struct case_file *c, bool after, const char *key, char *buf, size_t len);
/* The value in bytes: "unlimited" is UINT64_MAX. `missing` where there is no such key. */
uint64_t case_bytes(const struct case_file *c, bool after, const char *key, uint64_t missing);
/* Calls fn for each key; the strings live as long as the call. */
void case_each_key(const struct case_file *c, bool after,
                   void (*fn)(const char *key, const char *value, void *arg), void *arg);

/* A new temporary directory with the tree; its path, without a slash at the end, in root. */
void case_unpack(const struct case_file *c, char *root, size_t len);
/* Changes the directory to the tree.after: rewrites files in place, so that open ones show it, and
 * removes what is no longer there. */
void case_change(const struct case_file *c, const char *root);
/* Writes one file of a tree, with its directories. */
void tree_write(const char *root, const char *path, const char *text, size_t len);
void tree_remove(const char *root);

#endif
