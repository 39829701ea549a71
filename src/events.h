/*
 * What the kernel tells the watcher unasked, so that it need not wait for its timer.
 *
 *   v2  memory.events of the cgroup that binds: usage met memory.high or memory.max
 *   v1  thresholds on the usage (cgroup.event_control): needs root and a writable mount
 *
 * Also the pressure file that a service manager named for the program (outer.h).
 *
 * Where none can be had, or the program closed the descriptors, the timers remain. An event only
 * ends a sleep early; the next look sees what it means. One that led to nothing doubles the time
 * until the next is heard, from 20 ms to 1 s: page cache may meet the limit all day long.
 *
 * One thread waits, any thread may wake it.
 */
#ifndef PLIM_EVENTS_H
#define PLIM_EVENTS_H

#include "cgroup.h"
#include "lock.h"
#include "outer.h"

enum { EVENTS_THRESHOLDS = 3 };

/* Which cgroup's events are wanted, and for which limits. */
struct events_aim {
    struct cgroup_dir dir; /* version 0: no cgroup's */
    size_t path_len;
    uint64_t generation; /* as long as it is the same, dir is the same directory */
    uint64_t thresholds[EVENTS_THRESHOLDS];
};

struct events {
    /* Set by the waiting thread before it polls, and only then it reads the word that it would
     * sleep on otherwise. Others change the word first and then read this: sequentially consistent,
     * both. */
    _Atomic bool polls;
    /* An eventfd that others write to; made before `polls` is first set, and not changed
     * afterwards. */
    struct sys_file wake;

    struct lock lock;               /* held while a descriptor is opened: forks wait for it */
    struct sys_file source;         /* memory.events, or an eventfd with thresholds */
    struct sys_file usage, control; /* while thresholds are set */
    bool stale;                     /* source must be opened (again) for what `aim` says */
    uint64_t retry_ns;              /* doubles while it cannot be opened */
    uint64_t not_before_ns;         /* source is not opened again before */
    struct events_aim aim;

    struct outer outer; /* no file: none was named, it has ended, or cannot be opened */
    bool outer_settled; /* its opening is not tried (again) */
    bool outer_told;    /* it told of pressure; cleared by events_outer_told() */

    bool told;         /* the last wait was ended by the kernel */
    uint64_t quiet_ns; /* how long nothing is heard after an event */
    uint64_t quiet_until_ns;
};

/* Which cgroup's events to listen to from now on. dir NULL: none. Cheap; copies dir where the
 * generation is new. */
void events_follow(struct events *e, const struct cgroup_dir *dir, size_t path_len,
                   uint64_t generation, const uint64_t thresholds[EVENTS_THRESHOLDS]);
/* Listens to the file that was named as well. Called by the waiting thread each time before it
 * waits, as a lack of descriptors or memory may have passed. Returns 0 or, once, -errno. */
int events_listen(struct events *e, const struct pressure_watch *watch);
/* Whether that file has told of pressure since the last call. */
bool events_outer_told(struct events *e);
/* Sleeps while *word is `seen`, at most ns (UINT64_MAX: for ever, deaf to the cgroup's events).
 * pressed: the last look found something to do. True: an event ended the sleep. */
bool events_wait(struct events *e, const _Atomic uint32_t *word, uint32_t seen, uint64_t ns,
                 bool pressed);
/* After *word has been changed: ends the sleep, if there is one. */
void events_wake(struct events *e, const _Atomic uint32_t *word);

/* Around fork: the child holds none of these descriptors, and does not wait. true: call
 * events_fork_parent(). */
bool events_fork_prepare(struct events *e, uint64_t within_ns);
void events_fork_parent(struct events *e);
void events_fork_child(struct events *e);

#endif
