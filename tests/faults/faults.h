/*
 * Faults of the kernel by a schedule, for tests. The schedule is a file, named by the environment
 * variable PLIM_FAULTS, which the library built with faults.c maps. The same file counts the
 * injected faults, over all processes that have it mapped. run (Python) writes it, in native byte
 * order.
 */
#ifndef PLIM_TEST_FAULTS_H
#define PLIM_TEST_FAULTS_H

#include <stdatomic.h>
#include <stdint.h>

#define FAULTS_MAGIC "PLIMFLT1" /* 8 bytes, without a NUL */

/* X(name), in the order in which they are in the file. */
#define FAULT_CLASSES(X)                                                                           \
    X(eintr)   /* a signal interrupts any call that may be interrupted */                          \
    X(pieces)  /* reads and writes of files do only a part */                                      \
    X(nomem)   /* no address space, and no memory for the kernel's own files */                    \
    X(madvise) /* pages cannot be given back */                                                    \
    X(clock)   /* the wall clock jumps */                                                          \
    X(vanish)  /* a file or a cgroup is gone: before it is opened, or once it is */                \
    X(fds)     /* no descriptor left */                                                            \
    X(futex)   /* a wait ends for nothing */                                                       \
    X(poll)                                                                                        \
    X(eventfd) /* cannot be made, written to, read */                                              \
    X(thread)  /* cannot be created */                                                             \
    X(io)      /* a disk that is full or broken */

enum fault_class {
#define X(name) FAULT_##name,
    FAULT_CLASSES(X)
#undef X
        FAULT_COUNT
};

struct faults {
    char magic[8];
    uint64_t seed;
    uint32_t permille[16];         /* how often a call that could fail that way does */
    _Atomic uint64_t decided;      /* number of decisions so far: the schedule's position */
    _Atomic uint64_t injected[16]; /* by class */
};
/* For a test that faults.c is linked into: uses this schedule from now on; NULL: no faults. */
void faults_use(struct faults *faults);

_Static_assert((int)FAULT_COUNT <= 16, "room for all classes");

#endif
