/* Shared by stats_pages.c, stats_pages_mapped.c and stats_pages_read.c. */
#ifndef PLIM_CMD_STATS_PAGES_INTERNAL_H
#define PLIM_CMD_STATS_PAGES_INTERNAL_H

#include "stats_pages.h"

/* The page of that name in an open directory; ret->path is left to the caller. -EBADMSG also where
 * the page is another process's than its name says, -EPROTONOSUPPORT: of another major version. */
int process_read(int dir, const struct page_name *name, bool history, struct process *ret);
/* The page that a living process has mapped, in whatever directory, with its path. -ENOENT: none,
 * or its mappings cannot be read. */
int process_read_mapped(uint64_t pid, struct process *ret);

#endif
