/*
 * A child that is held back until its cgroup is ready, and then looked after: signals that we get
 * are passed on to it, and none but SIGKILL ends us before the child has ended. Signals that the
 * terminal sends to its whole foreground group reach the child without us.
 */
#ifndef PLIM_CMD_SUPERVISE_H
#define PLIM_CMD_SUPERVISE_H

#include "../base.h"

#include <signal.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    sigset_t missed; /* pending when it was forked, so only we have got them */
    int gate;        /* one byte lets it run; closed without one, it exits */
    int report;      /* gets the errno of a failed exec; ends without one if it runs */
};

/* Blocks the signals that are meant for the child; until then they end us as usual. *ret_before:
 * the mask for the child. Single-threaded. */
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
