/*
 * Listening to the file that a service manager named by systemd's protocol (MEMORY_PRESSURE_WATCH):
 * the kernel's memory.pressure, a FIFO or a socket.
 */
#ifndef PLIM_OUTER_H
#define PLIM_OUTER_H

#include "options.h"
#include "sys.h"

struct outer {
    struct sys_file file;
    short events; /* to poll for: POLLPRI for the kernel's file, else POLLIN */
};

/* Opens the file and writes to it what the manager wants written (MEMORY_PRESSURE_WRITE). Returns 0
 * or -errno. SIGPIPE must be blocked. */
int outer_open(struct outer *o, const struct pressure_watch *watch);
/* After a poll that gave these events: reads what there is. 1: pressure was told; 0: nothing;
 * -errno: the file has ended, and would report that for ever. */
int outer_take(const struct outer *o, short revents);

#endif
