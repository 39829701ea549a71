/* The table of processes that status and top print: columns, order of rows. */
#ifndef PLIM_CMD_TABLE_H
#define PLIM_CMD_TABLE_H

#include "stats_pages.h"

enum column {
    COLUMN_PID,
    COLUMN_COMM,
    COLUMN_LEVEL,
    COLUMN_USAGE,
    COLUMN_SOFT,
    COLUMN_HARD,
    COLUMN_HEADROOM,
    COLUMN_HEAP,
    COLUMN_DIRTY,
    COLUMN_PURGES,
    COLUMN_CALLS,
    COLUMN_ASKED,
    COLUMN_FREED,
    COLUMN_CPU,
    COLUMN_WAITED,
    COLUMN_MEETS,
    COLUMN_AGE,
    COLUMN_COUNT
};

struct column_info {
    const char *title;
    int width;        /* negative: to the left */
    char key;         /* of top, to sort by it; 0: none */
    const char *word; /* of --sort; NULL: none */
};
extern const struct column_info columns[COLUMN_COUNT];

enum { TABLE_WIDTH = 256 }; /* bytes that a line takes at most, with its NUL */

/* The titles, and the line of one process, from column `from` on, cut after `width` characters.
 * sorted: the column marked in the titles; COLUMN_COUNT: none. */
void table_titles(enum column from, enum column sorted, int width, char line[TABLE_WIDTH]);
void table_row(const struct process *process, uint64_t now_ns, enum column from, int width,
               char line[TABLE_WIDTH]);

/* Least headroom first; names and pids ascending; all else descending. */
void table_sort(struct pages *pages, enum column by, bool reverse);

/* Sorts it and prints all of it on stdout. sorted: as above. */
void table_print(struct pages *pages, enum column by, enum column sorted);

#endif
