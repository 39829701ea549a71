/* What a verb says where it was asked about a process that has no stats page. */
#ifndef PLIM_CMD_NO_PAGE_H
#define PLIM_CMD_NO_PAGE_H

#include "stats_pages.h"

/* Though its parent may not have waited for it yet. */
bool process_has_ended(uint64_t pid);
/* One line: it has left one behind, has ended, is another user's, or runs without. */
void no_page_say(const char *verb, uint64_t pid, const struct pages *pages);

#endif
