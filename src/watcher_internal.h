/* What watcher*.c share, see runtime.h. */
#ifndef PLIM_WATCHER_INTERNAL_H
#define PLIM_WATCHER_INTERNAL_H

#include "runtime.h"

enum watcher_state { WATCHER_NONE, WATCHER_STARTING, WATCHER_RUNNING, WATCHER_PAUSED };

/* In place of a thread's number, until it tells that. */
#define WATCHER_STARTED UINT32_MAX

/* What each thread of the watcher's does first. */
void watcher_begin(void);
/* Watches on the calling thread, for as long as it is that turn's. */
void watcher_watch(uint32_t turn);
/* Ends the watcher's sleep, whatever state it is in. */
void watcher_rouse(void);

#endif
