/*
 * The file that a service manager named by systemd's protocol (MEMORY_PRESSURE_WATCH), from the
 * side of who listens to it: the kernel's memory.pressure, a FIFO or a socket.
 */
#ifndef PLIM_OUTER_H
#define PLIM_OUTER_H

#include "options.h"
#include "sys.h"

struct outer {
    struct sys_file file;
    short events; /* to poll for: POLLPRI of the kernel's file, else POLLIN */
};

/* Opens it and writes to it what it is to be told. Returns 0 or -errno.
 * SIGPIPE must be blocked. */
int outer_open(struct outer *o, const struct pressure_watch *watch);
/* After a poll that gave these events: takes what there is to take. 1: pressure was told; 0:
 * nothing; -errno: it has ended, and would say so for ever. */
int outer_take(const struct outer *o, short revents);

#endif
