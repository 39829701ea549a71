/*
 * The eventfd behind plim_pressure_fd().
 */
#ifndef PLIM_PRESSURE_FD_H
#define PLIM_PRESSURE_FD_H

#include "base.h"

/* The descriptor, made by the first call; or -errno. Signal handlers that allocate may interrupt
 * it. */
int pressure_fd_get(void);
/* The level has changed. */
void pressure_fd_signal(void);
/* The child shares it with the parent and must not speak for it; it can ask for its own. */
void pressure_fd_fork_child(void);

#endif
