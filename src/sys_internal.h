/* How sys*.c call the kernel. */
#ifndef PLIM_SYS_INTERNAL_H
#define PLIM_SYS_INTERNAL_H

#include "sys.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* syscall(2) is neither a cancellation point nor commonly interposed; it does set errno. Arguments
 * that the kernel takes as longs must be passed as such: where an int goes on the stack, half the
 * word may be anything. */
#define SYS_CALL(...)                                                                              \
    ({                                                                                             \
        int saved_errno_ = errno;                                                                  \
        long result_ = syscall(__VA_ARGS__);                                                       \
        if (result_ == -1)                                                                         \
            result_ = -errno;                                                                      \
        errno = saved_errno_;                                                                      \
        result_;                                                                                   \
    })

/* The same, again while a signal interrupts it. */
#define SYS_RETRY(...)                                                                             \
    ({                                                                                             \
        long retried_;                                                                             \
        do                                                                                         \
            retried_ = SYS_CALL(__VA_ARGS__);                                                      \
        while (retried_ == -EINTR);                                                                \
        retried_;                                                                                  \
    })

/* Moves the descriptor, which is to be closed on exec, to a high number: programs and shells count
 * on low ones being given out in order, and a program that may have few needs them. Above all, a
 * shell puts a file of its own at a number by dup2(), whoever has it by then, and what is closed
 * there later is the shell's. Where that has happened, fd is left open; -EAGAIN: it may have
 * happened before there was a high one. Other -errno: there are no high numbers, fd stays open. */
int sys_raise_fd(int fd) PLIM_HIDDEN;
/* The same for what opening returned; where there are no high numbers, fd itself. */
int sys_opened(int fd) PLIM_HIDDEN;
/* Moves fd to a high number and holds it in *file; on failure closes it, -errno. */
int sys_file_adopt_high(struct sys_file *file, int fd) PLIM_HIDDEN;

#endif
