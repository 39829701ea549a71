/*
 * What the kernel tells the watcher unasked, so that it need not wait for its timer.
 *
 *   v2  memory.events of the cgroup that binds: usage met memory.high or memory.max
 *   v1  thresholds on the usage (cgroup.event_control): needs root and a writable mount
 *
 * Besides these, what a service manager named for the program to listen to (outer.h).
 *
 * Where none can be had, or the program closed the descriptors, there are the timers. An event
 * only ends a sleep early: what it means, the next look sees. One that led to nothing doubles the
 * time until the next is heard, from 20 ms to 1 s: page cache may meet the limit all day long.
 *
 * One thread waits, any may wake it.
 */
#ifndef PLIM_EVENTS_H
#define PLIM_EVENTS_H

#include "cgroup.h"
#include "lock.h"
#include "outer.h"

enum { EVENTS_THRESHOLDS = 3 };

/* Whose events, on account of which limits. */
struct events_aim {
    struct cgroup_dir dir; /* version 0: nobody's */
    size_t path_len;
    uint64_t generation; /* of what dir holds: the same one, the same directory */
    uint64_t thresholds[EVENTS_THRESHOLDS];
};

struct events {
    /* Set by the waiting thread before it polls. The word that it sleeps on otherwise is read after
     * that, and changed by others before they read this: sequentially consistent, both. */
    _Atomic bool polls;
    /* An eventfd; made before `polls` is first set, and not changed after: others write to it. */
    struct sys_file wake;

    struct lock lock;               /* held while a descriptor is opened: forks wait for it */
    struct sys_file source;         /* memory.events, or an eventfd with thresholds */
    struct sys_file usage, control; /* while thresholds are set */
    bool stale;                     /* source is to be opened for what `aim` says */
    uint64_t retry_ns;              /* doubles while it cannot be opened */
    uint64_t not_before_ns;         /* it is not opened again before */
    struct events_aim aim;

    struct outer outer; /* no file: nothing was named, it has ended, or could not be opened */
    bool outer_settled; /* it is not tried (again) */
    bool outer_told;    /* it had something to tell; cleared by who acts on it */

    bool told;         /* the last wait was ended by the kernel */
    uint64_t quiet_ns; /* how long nothing is heard after an event */
    uint64_t quiet_until_ns;
};

/* Whose events to listen to from now on. dir NULL: nobody's. Cheap; copies dir where the generation
 * is another one. */
void events_follow(struct events *e, const struct cgroup_dir *dir, size_t path_len,
                   uint64_t generation, const uint64_t thresholds[EVENTS_THRESHOLDS]);
/* Listens to what was named, too. By the waiting thread, each time before it waits: where there was
 * no descriptor or no memory for it, it is tried again. Returns 0 or, once, -errno. */
int events_listen(struct events *e, const struct pressure_watch *watch);
/* Whether that has told something since this was last asked. */
bool events_outer_told(struct events *e);
/* Sleeps while *word is `seen`, at most ns (UINT64_MAX: for ever, and no event of the cgroup's is
 * heard). pressed: the last look found something to do. True: the kernel ended it. */
bool events_wait(struct events *e, const _Atomic uint32_t *word, uint32_t seen, uint64_t ns,
                 bool pressed);
/* After *word has been changed: ends the sleep, if there is one. */
void events_wake(struct events *e, const _Atomic uint32_t *word);

/* Around fork: the child holds no descriptor of these, and has not begun to wait. true: call
 * events_fork_parent(). */
bool events_fork_prepare(struct events *e, uint64_t within_ns);
void events_fork_parent(struct events *e);
void events_fork_child(struct events *e);

#endif
