/* What a verb says where one process has no stats page, or the directory is missing. */
#ifndef PLIM_CMD_NO_PAGE_H
#define PLIM_CMD_NO_PAGE_H

#include "stats_pages.h"

/* true also where its parent has not waited for it yet. */
bool process_has_ended(uint64_t pid);
/* One line: the process has left a page behind, has ended, is another user's, or runs without
 * one. */
void no_page_say(const char *verb, uint64_t pid, const struct pages *pages);
/* Whether the directory that PLIMSOLL_STATS names can be searched for pages. Complains in one line
 * of one that cannot be read, and of a bad value, which is then ignored. */
bool stats_dir_is_readable(const char *verb);

#endif
