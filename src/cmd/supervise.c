/* Looking after a child, see supervise.h. */
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What somebody may send to us and mean for the program. */
static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

static void wait_set(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGCHLD);
    for (size_t i = 0; i < ARRAY_LEN(passed_on); i++)
        (void)sigaddset(set, passed_on[i]);
}

void supervise_begin(sigset_t *ret_before)
{
    sigset_t set;
    wait_set(&set);
    (void)sigaddset(&set, SIGPIPE); /* a closed stderr must not keep us from cleaning up */
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
        if (sigwaitinfo(&set, &info) < 0 || info.si_signo == SIGCHLD)
            continue;
        /* The terminal has sent it to the child too, which is in our process group. */
        if (info.si_code != SI_KERNEL)
            (void)kill(child->pid, info.si_signo);
    }
}
