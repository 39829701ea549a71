/* Shared by pages.c and pages_read.c. */
#ifndef PLIM_CMD_PAGES_INTERNAL_H
#define PLIM_CMD_PAGES_INTERNAL_H

#include "pages.h"

/* The page called `name` in an open directory; ret->path is left to the caller. */
int page_read_at(int dir, const char *name, bool history, struct process *ret);

#endif
