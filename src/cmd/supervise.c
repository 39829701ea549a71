/* Looking after a child, see supervise.h. */
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

/* All signals but those by which a terminal stops us together with the child, and a shell continues
 * both. Those that a fault of our own raises (as SIGSEGV) end us though they are blocked. */
static void wait_set(sigset_t *set)
{
    (void)sigfillset(set);
    (void)sigdelset(set, SIGTSTP);
    (void)sigdelset(set, SIGCONT);
}

enum fate { FATE_DROPPED, FATE_PASSED_ON, FATE_STOPS_US };

/* What the kernel sends from the terminal goes to the whole process group, in which the child is
 * unless it has left it. But a hangup goes to the session's leader alone, and an alarm that was set
 * before we were executed to us. */
static enum fate judge(const siginfo_t *info, const struct child *child)
{
    bool kernel = info->si_code == SI_KERNEL, user = info->si_code == SI_USER;
    bool together = kernel && sigismember(&child->missed, info->si_signo) == 0 &&
                    getpgid(child->pid) == getpgrp();
    switch (info->si_signo) {
    case SIGCHLD:
        return FATE_DROPPED;
    case SIGINT:
    case SIGQUIT:
    case SIGWINCH:
        return together ? FATE_DROPPED : FATE_PASSED_ON;
    case SIGHUP:
        return together && getsid(0) != getpid() ? FATE_DROPPED : FATE_PASSED_ON;
    case SIGTTIN:
    case SIGTTOU: /* a shell that is started in the background stops its group itself */
        return kernel || (user && info->si_pid == child->pid) ? FATE_STOPS_US : FATE_PASSED_ON;
    default: /* from ourselves: we have written to a closed pipe */
        return user && info->si_pid == getpid() ? FATE_DROPPED : FATE_PASSED_ON;
    }
}

void supervise_begin(sigset_t *ret_before)
{
    sigset_t set;
    wait_set(&set);
    (void)sigprocmask(SIG_BLOCK, &set, ret_before);
}

/* In the child, until exec. */
static void child_run(int gate, int report, char *const *argv, char *const *env,
                      const sigset_t *mask)
{
    char go;
    ssize_t got;
    do
        got = read(gate, &go, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1)
        _exit(1);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    (void)execvpe(argv[0], argv, env);
    int error = errno;
    (void)!write(report, &error, sizeof(error));
    _exit(1);
}

int child_start(struct child *ret, char *const *argv, char *const *env, const sigset_t *mask)
{
    int gate[2], report[2];
    struct sigaction chld;
    if (pipe2(gate, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(report, O_CLOEXEC) < 0) {
        int rc = -errno;
        (void)close(gate[0]);
        (void)close(gate[1]);
        return rc;
    }
    /* Where SIGCHLD is ignored the kernel would not keep the exit status for us. */
    struct sigaction wanted = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGCHLD, &wanted, &chld);
    (void)sigpending(&ret->missed);
    ret->pid = fork();
    if (ret->pid == 0) {
        (void)close(gate[1]);
        (void)sigaction(SIGCHLD, &chld, NULL);
        child_run(gate[0], report[1], argv, env, mask);
    }
    int rc = ret->pid < 0 ? -errno : 0;
    (void)close(gate[0]);
    (void)close(report[1]);
    ret->gate = gate[1];
    ret->report = report[0];
    if (rc < 0) {
        (void)close(ret->gate);
        (void)close(ret->report);
    }
    return rc;
}

static void reap(pid_t pid, int *status)
{
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        ;
}

int child_release(struct child *child)
{
    int error = 0, status;
    ssize_t got;
    (void)!write(child->gate, "", 1);
    (void)close(child->gate);
    do
        got = read(child->report, &error, sizeof(error));
    while (got < 0 && errno == EINTR);
    (void)close(child->report);
    if (got != (ssize_t)sizeof(error))
        return 0;
    reap(child->pid, &status);
    return -error;
}

void child_abandon(struct child *child)
{
    int status;
    (void)close(child->gate);
    (void)close(child->report);
    reap(child->pid, &status);
}

/* A value that was queued with the signal is passed on too. */
static void pass_on(pid_t pid, const siginfo_t *info)
{
    if (info->si_code != SI_QUEUE || sigqueue(pid, info->si_signo, info->si_value) < 0)
        (void)kill(pid, info->si_signo);
}

/* Stops us by the signal that stopped the child: whoever waits for us, as a shell does, must see
 * that. */
static void stop_by(int signo)
{
    sigset_t one, before;
    (void)sigemptyset(&one);
    (void)sigaddset(&one, signo);
    (void)raise(signo);
    (void)sigprocmask(SIG_UNBLOCK, &one, &before);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
}

int child_wait(struct child *child)
{
    sigset_t set;
    int status = 0;
    wait_set(&set);
    for (;;) {
        siginfo_t info;
        pid_t ended = waitpid(child->pid, &status, WNOHANG);
        if (ended == child->pid || (ended < 0 && errno == ECHILD))
            return status;
        if (sigwaitinfo(&set, &info) < 0)
            continue;
        enum fate fate = judge(&info, child);
        (void)sigdelset(&child->missed, info.si_signo);
        switch (fate) {
        case FATE_DROPPED:
            break;
        case FATE_PASSED_ON:
            pass_on(child->pid, &info);
            break;
        case FATE_STOPS_US:
            stop_by(info.si_signo);
            break;
        }
    }
}
