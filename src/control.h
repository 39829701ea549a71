/*
 * What another process may ask of this one, through the mailbox of its stats page: plimsoll ctl.
 * The watcher executes it. A mailbox is written by another process of this user, so its contents
 * are copied and checked first.
 */
#ifndef PLIM_CONTROL_H
#define PLIM_CONTROL_H

#include "stats_page.h"

/* After a look on an allocating thread: a request may have come while there was no watcher. */
void control_notice(void);
/* Executes a request, if there is one, and answers. On the watcher, with no lock held. */
void control_serve(struct page_mailbox *mailbox);

/* Sets the soft limit, in bytes; 0: back to what PLIMSOLL_LIMIT says. Returns the one in force. */
uint64_t control_set_limit(uint64_t bytes);

#endif
