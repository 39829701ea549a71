/*
 * What another process may ask of this one, through the mailbox of its stats page: plimsoll ctl.
 * The watcher executes; what stands in a mailbox was written by another process of this user, and
 * is copied and checked before it is believed.
 */
#ifndef PLIM_CONTROL_H
#define PLIM_CONTROL_H

#include "stats_page.h"

/* After a look on an allocating thread: a request may have come while there was no watcher. */
void control_notice(void);
/* Executes it and answers. On the watcher, no lock held. */
void control_serve(struct page_mailbox *mailbox);

/* Another soft limit from now on; 0: what PLIMSOLL_LIMIT says. Returns the one in force. */
uint64_t control_set_limit(uint64_t bytes);

#endif
