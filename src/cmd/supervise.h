/*
 * A child that is held back until its cgroup is ready, and then looked after: signals that we get
 * are passed on to it, and but for SIGKILL none of them ends us before it has ended. What the
 * terminal sends to all of its foreground, the child has got by itself.
 */
#ifndef PLIM_CMD_SUPERVISE_H
#define PLIM_CMD_SUPERVISE_H

#include "../base.h"

#include <signal.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    sigset_t missed; /* pending when it was forked, so that only we have got them */
    int gate;        /* one byte lets it run; closed without: it exits */
    int report;      /* errno of a failed exec; ends without: it runs */
};

/* Blocks the signals that are not for us; until then they end us as usual. *ret_before: the mask
 * for the child. Single-threaded. */
void supervise_begin(sigset_t *ret_before);
/* Forks; the child waits at the gate. 0 or -errno. */
int child_start(struct child *ret, char *const *argv, char *const *env, const sigset_t *mask);
/* Lets it execute its program. 0, or the -errno of the failed exec (it is then gone). */
int child_release(struct child *child);
/* Ends it before it was released. */
void child_abandon(struct child *child);
/* Until it has ended, passing signals on; returns its wait status. */
int child_wait(struct child *child);

#endif
