/*
 * The library in this process: whether it has begun, with which options, and what becomes of it at
 * forks and at the end.
 *
 *   boot.c       first call: options, cgroup, jemalloc, hooks; the program's start and end
 *   conf.c       jemalloc's settings
 *   fork.c       before a fork and after it
 *   namespaces.c unshare() and setns(), which the watcher would be in the way of
 */
#ifndef PLIM_RUNTIME_H
#define PLIM_RUNTIME_H

#include "options.h"
#include "sys.h"

enum phase {
    PHASE_NONE,        /* nothing has been called yet */
    PHASE_CONFIGURING, /* one thread prepares jemalloc's configuration; others wait */
    PHASE_CONFIGURED,  /* jemalloc starts or has started: calls pass through */
    PHASE_TAKING_OVER, /* its arenas are being taken over: calls pass through */
    PHASE_READY,
    PHASE_OFF, /* PLIMSOLL=off, or the boot failed: calls pass through for ever */
};

struct runtime {
    _Atomic uint32_t phase;    /* enum phase; released by the booting thread */
    _Atomic uint32_t boot_tid; /* the thread that boots: its own calls pass through */
    struct options options;    /* written at boot, read only after */
    /* Constructors run: threads may be created, as watcher_measure() has found how. Released by the
     * constructor. */
    _Atomic bool late;
    /* Relaxed: each stands alone. */
    _Atomic bool exiting;   /* by the destructor */
    _Atomic bool forked;    /* there are processes that may share pages with this one */
    _Atomic bool listeners; /* a reclaimer or pressure fd was asked for; never cleared */
    _Atomic uint32_t pid;   /* whose memory this is, see runtime_is_ours(); by who is alone in it */
};

extern struct runtime runtime PLIM_HIDDEN;

/* false: a child of vfork, which has this memory on loan, or one that no fork handler has seen. */
static inline bool runtime_is_ours(void)
{
    return atomic_load_explicit(&runtime.pid, memory_order_relaxed) == sys_pid();
}

/* Bytes committed before the first look; up to twice that where there is room for many such
 * programs. Small programs end before it and never need jemalloc's controls, which are found at the
 * first look and cost 400 KiB. */
static const uint64_t first_look = MiB;

/* Boots if nothing has. false: off, or not yet. */
bool runtime_ready(void);
/* The first part of booting, which jemalloc's own start needs. Any thread; calls no jemalloc. */
void runtime_configure(void);
/* Configures if nothing has, and keeps errno. false: off, or not yet. Signal handlers may call
 * it. */
bool runtime_configured(void);
/* Builds jemalloc's settings, before its first call: ours, if anything is watched, then the
 * program's own. */
void conf_build(void);
/* Registers our fork handlers, once. jemalloc is started first so that its own are registered
 * before: they must take its locks after ours have run. */
void fork_begin(void);

#endif
