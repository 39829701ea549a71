/*
 * Tells the program of pressure by systemd's protocol (PLIMSOLL_NOTIFY): MEMORY_PRESSURE_WATCH
 * names a FIFO that can be read from whenever something should be freed.
 *
 * The FIFO is a pipe of our own, named by its descriptor: /proc/self/fd/N. So there is no file that
 * somebody could plant, that a read-only system could refuse, or that a killed process would leave.
 * Each process that opens the name finds its own pipe: a forked child gets a new one at the same
 * number, and a program that is executed without the library finds nothing there.
 *
 * Where a service manager has set the variable already, ours takes its place, and what the manager
 * tells is passed on: the program hears both.
 *
 * One caller at a time: the look lock, or a constructor, or a forked child's handler.
 */
#ifndef PLIM_NOTIFY_H
#define PLIM_NOTIFY_H

#include "options.h"

#include <plimsoll.h>

/* Sets the variables, as `options` say. Once, before main. */
void notify_begin(const struct options *options);
/* The file that a service manager named and that is to be listened to; NULL: none. Valid for ever.
 * Any thread. */
const struct pressure_watch *notify_outer(void);
/* Is there a FIFO that could be opened? */
bool notify_is_offered(void);
/* Has anybody opened the FIFO? A system call or two, and none where nothing is offered. */
bool notify_has_reader(void);
/* After a look. wanting: purging is not enough, the program must free. */
void notify_look(bool wanting, enum plim_level level, uint64_t now_ns);
/* The service manager tells of pressure. */
void notify_relay(uint64_t now_ns);
/* In a forked child: makes its own pipe, at the number that the program knows already. */
void notify_fork_child(void);

#endif
