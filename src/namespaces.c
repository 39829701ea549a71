/*
 * unshare(2) and setns(2), which the kernel refuses to processes of several threads where they
 * change the user namespace and the like: the watcher must not be the second one.
 *
 * The watcher is stopped for as long as the call takes. A program that makes the system call
 * without these functions has to start with PLIMSOLL_THREAD=off.
 */
#include "watcher.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The C library's functions are nothing but these system calls. */
static int call(bool alone, long number, int first, int second)
{
    bool paused = alone && watcher_pause();
    int rc = (int)syscall(number, first, second);
    int saved_errno = errno;
    if (paused)
        watcher_resume();
    errno = saved_errno;
    return rc;
}

PLIM_EXPORT int unshare(int flags)
{
    const int alone = CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    return call((flags & alone) != 0, SYS_unshare, flags, 0);
}

/* type 0: any kind of namespace. */
PLIM_EXPORT int setns(int fd, int type)
{
    const int any = CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWCGROUP;
    return call(type == 0 || (type & ~any) != 0, SYS_setns, fd, type);
}
