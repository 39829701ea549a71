/* What a verb says where there is no stats page: of one process, or for want of the directory. */
#ifndef PLIM_CMD_NO_PAGE_H
#define PLIM_CMD_NO_PAGE_H

#include "stats_pages.h"

/* Though its parent may not have waited for it yet. */
bool process_has_ended(uint64_t pid);
/* One line: it has left one behind, has ended, is another user's, or runs without. */
void no_page_say(const char *verb, uint64_t pid, const struct pages *pages);
/* Whether pages can be looked for where PLIMSOLL_STATS says, before anything is read. Complains in
 * one line of a directory that cannot be read, and of a bad value, which does not count. */
bool stats_dir_is_readable(const char *verb);

#endif
