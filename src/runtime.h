/*
 * The library at work: boot, looks, the watcher thread, what happens at the limit. All state that
 * is not a module's own is in the one struct here.
 *
 *   boot.c     first call: options, cgroup, jemalloc, hooks; the program's start and end
 *   conf.c     jemalloc's settings
 *   fork.c     before a fork and after it
 *   capacity.c how many CPUs and how much memory there are for this process
 *   admit.c    where the gate stops an allocating thread
 *   look.c     acquire, decide, act: one look at a time, on an allocating thread or the watcher
 *   at_limit.c no room left: wait, refuse, abort
 *   stats.c    the numbers for plim_stats() and for the stats page
 *   control.c  what other processes ask for by the stats page (plimsoll ctl)
 *   watcher.c  the thread that looks when nobody allocates
 *   watcher_ask.c     what other threads want of it
 *   watcher_relief.c  the one that stands by while reclaimers run
 *   watcher_pause.c   out of the way of a call, and after fork
 *   watcher_thread.c  how either is made
 *   watch.c    one look of its, and the reclaimers that it runs
 *   pressure_fd.c  who waits for the level to change
 *   namespaces.c  unshare() and setns(), which it would be in the way of
 */
#ifndef PLIM_RUNTIME_H
#define PLIM_RUNTIME_H

#include "account.h"
#include "events.h"
#include "governor.h"
#include "lock.h"
#include "page.h"
#include "usage.h"

enum phase {
    PHASE_NONE,        /* nothing has been called yet */
    PHASE_CONFIGURING, /* one thread prepares jemalloc's configuration; others wait */
    PHASE_CONFIGURED,  /* jemalloc starts or has started: calls pass through */
    PHASE_TAKING_OVER, /* its arenas are being taken over: calls pass through */
    PHASE_READY,
    PHASE_OFF, /* PLIMSOLL=off, or the boot failed: calls pass through for ever */
};

/* Counters for plim_stats. Written by whoever does the work, relaxed: only statistics. */
struct counters {
    _Atomic uint64_t looks, purges, purged_bytes;
    _Atomic uint64_t reclaimer_calls, reclaimer_asked, reclaimer_freed;
    _Atomic uint64_t reclaim_cpu_ns, throttle_ns, failed_requests, wakeups;
    _Atomic uint64_t usage; /* as last seen */
};

static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

struct watcher {
    _Atomic uint32_t state; /* enum watcher_state; by compare-and-swap */
    /* Raised when another thread is to watch: who was started in an earlier turn ends. */
    _Atomic uint32_t turn;
    _Atomic uint32_t tid;      /* of the present one */
    _Atomic uint32_t relief;   /* of the one that waits to take over; 0: none */
    _Atomic uint32_t passes;   /* of reclaimers, as begun; that one sleeps on it */
    _Atomic uint64_t pass_ns;  /* when the pass that runs began; 0: none runs */
    _Atomic uint64_t start_ns; /* it could not be started: not again before */
    _Atomic bool failed;       /* nor has it been since; by who starts it */
    _Atomic uint32_t wake;     /* counts requests to look; the watcher sleeps on it */
    /* Of the stats page, once there is one: the watcher sleeps on its word, which other processes
     * can raise. Set under the look lock. */
    _Atomic(struct page_mailbox *) mailbox;
    _Atomic uint64_t next_ns; /* when it looks next; UINT64_MAX: when woken */
    /* Bytes to ask whatever the usage (plim_reclaim, large requests), how many calls asked, and how
     * many have been served. */
    _Atomic uint64_t asked;
    _Atomic uint32_t requests, served;
    struct events events; /* what may wake it early, besides */
};

struct runtime {
    _Atomic uint32_t phase;        /* enum phase; released by the booting thread */
    _Atomic uint32_t boot_tid;     /* who boots: its own calls pass through */
    struct options options;        /* written at boot, read only after */
    struct cpu_mask cpus_at_start; /* which the first thread might use; likewise */
    unsigned affinity;             /* how many they are */
    /* Usable CPUs, and when they were counted: under look_lock, read by all, who need no order. */
    _Atomic unsigned cpus;
    _Atomic uint64_t cpus_read_ns;
    /* Memory that the cgroup allows, in bytes, for PLIMSOLL_REPORT; likewise. */
    struct {
        _Atomic uint64_t ram, free, swap, swap_free;
        _Atomic uint64_t next_ns; /* when it is to be read anew */
    } memory;

    struct lock look_lock; /* guards the next seven; see look_begin() */
    uint64_t millicpus;    /* the CPU quota as last read */
    struct usage usage;
    struct governor governor;
    uint64_t refreshed_ns;
    struct limits limits; /* as of the last look */
    uint64_t granted;     /* committed bytes once the large requests granted lately are served */
    uint64_t granted_ns;  /* when the last of them was */

    /* Committed bytes from which allocating threads wait for a look that is under way. Set by
     * looks, lowered by what is granted during one and by what may have come back in slabs. */
    _Atomic uint64_t stop_at;
    /* Bytes of large requests so granted since the last look. */
    _Atomic uint64_t meanwhile;
    /* Free pages, in bytes, from which on a freeing thread looks; 0: it does not. By looks. */
    _Atomic uint64_t look_freed;
    /* After what time they look as they fill slabs, however little is committed; 0: they need not.
     * By looks. */
    _Atomic uint64_t look_refilled_ns;
    _Atomic uint64_t looked_ns;   /* when the last one was */
    _Atomic uint32_t level;       /* written under look_lock, read by all */
    _Atomic uint32_t flush_epoch; /* raised when threads should empty their caches */
    _Atomic uint32_t cannot_meet;
    /* Counts passes of reclaimers, and looks that found room: threads held back sleep on it. */
    _Atomic uint32_t progress;
    _Atomic unsigned held;  /* threads that wait for it */
    _Atomic bool listeners; /* a reclaimer or pressure fd was asked for; never cleared */
    _Atomic bool late;      /* constructors have begun: threads may be created */
    _Atomic bool exiting;
    _Atomic uint32_t pid;          /* whose memory this is, see runtime_is_ours() */
    struct sys_file pressure_file; /* pressure_fd.c */

    struct watcher watcher;
    struct counters counters;
};

extern struct runtime runtime PLIM_HIDDEN;

/* false: a child of vfork, which has this memory on loan, or one that no fork handler has seen. */
static inline bool runtime_is_ours(void)
{
    return atomic_load(&runtime.pid) == sys_pid();
}

/* Requests from here on are judged before they are made, and may be refused. */
#define LARGE_REQUEST GATE_OPEN
/* So many bytes are committed before the first look, and twice that where there is room for many
 * such programs: what publish.c has figures of. Small programs end before this, and never need
 * jemalloc's controls: they are found at the first look, and cost 400 KiB. */
static const uint64_t first_look = MiB;
/* An allocating thread waits so long for a look: its holder only reads and purges, but it may have
 * been preempted. */
static const uint64_t look_wait_ns = NS_PER_S;
/* While a pass of reclaimers takes longer, another thread watches. */
static const uint64_t pass_patience_ns = NS_PER_S;
/* And from here on nobody waits for it any more. */
static const uint64_t pass_lost_ns = 10 * NS_PER_S;

/* What only the calling thread knows. */
struct thread_state {
    bool inside;          /* in a look, or the watcher: its own requests pass through */
    bool forks;           /* between a fork's beginning and its having all locks */
    bool ours;            /* a thread of the library's: jemalloc gives it no cache at first */
    uint32_t flush_epoch; /* as of its last flush */
    unsigned held;        /* its waits for room: 1, more where a signal handler allocates */
    /* From the handler before a fork to the one after it: which locks are to be released, and what
     * was blocked. */
    struct fork_state {
        bool look, reclaimers, events, was_inside;
        uint64_t signals;
    } fork;
};
/* The model must stand here as well, or every other file would reach it through a call. */
extern _Thread_local struct thread_state thread_state PLIM_HIDDEN
    __attribute__((tls_model("initial-exec")));

/* Where the gate stops: boots, looks if a look is due, waits or refuses at the limit.
 * false: refuse with ENOMEM. Keeps errno. Call with no lock of jemalloc's held. */
bool runtime_admit(size_t size);
/* Gives back free pages now, at least `bytes` or all there are; returns the bytes that went. */
uint64_t runtime_purge(uint64_t bytes);
/* Threads were asked to empty their caches, and the calling one has not yet done so. */
static inline bool runtime_flush_wanted(void)
{
    return thread_state.flush_epoch !=
           atomic_load_explicit(&runtime.flush_epoch, memory_order_relaxed);
}
/* Has the calling thread do so. Keeps errno. */
void runtime_flush(void);
/* Freeing threads are to look once there is much to give back. */
static inline bool runtime_freed_wanted(void)
{
    return atomic_load_explicit(&runtime.look_freed, memory_order_relaxed) != 0;
}
/* Has the calling thread do so, if there is. Keeps errno. */
void runtime_freed(void);
/* Memory may come back in slabs, with nothing committed. */
static inline bool runtime_refilling(void)
{
    return atomic_load_explicit(&runtime.look_refilled_ns, memory_order_relaxed) != 0;
}
/* Then a thread says that it has allocated 64 KiB; makes the next look due where it should be. */
void runtime_refilled(void);
/* Boots if nothing has. false: off, or not yet. */
bool runtime_ready(void);
/* The first part of that, which jemalloc's own start needs. Any thread; calls no jemalloc. */
void runtime_configure(void);
/* jemalloc's settings, before its first call: ours, if anything is watched, then the program's own.
 */
void conf_build(void);
/* Registers the handlers that forks need. After jemalloc's own: they must run before those take its
 * locks. */
void fork_begin(void);

/* Both for the first time. Call with nothing else running, or with look_lock held. */
void capacity_init(void);
/* One line where PLIMSOLL_LIMIT is more than there is. */
void capacity_complain(void);
/* min(affinity, quota) at present. Once configured; any thread, signal handlers too. */
unsigned runtime_cpus(void);
/* What PLIMSOLL_REPORT is to tell. Configures if nothing has; never waits; signal handlers too. */
bool runtime_reports_cpus(void);
/* false: nothing. UNLIMITED where the cgroup sets no bound. */
bool runtime_reports_memory(struct memory_size *ret);

/* A turn at what the look lock guards: whether it was had, and whether the thread was inside
 * before.
 */
struct look_turn {
    bool had, was_inside;
};
/* The look lock, and no other way to it. The thread is inside from before it is taken until it is
 * given back: what it allocates meanwhile passes through (hooks of the program's own may), and
 * signal handlers may fork where no lock of jemalloc's is held. 0: only if it is to be had at once;
 * UINT64_MAX: for ever. */
struct look_turn look_begin(uint64_t within_ns);
/* Only of a turn that was had. */
void look_end(struct look_turn turn);

/* One look. `request` bytes are about to be allocated. Call with look_lock held. */
void look_locked(uint64_t request, bool on_watcher, struct governor_input *in,
                 struct governor_decision *ret);
/* A request of so many bytes was let through: what it will have committed shows in no count before
 * it is served. Call with look_lock held. */
void look_granted(uint64_t now_ns, uint64_t committed, uint64_t bytes);
/* Says so when the limit cannot be met, or can be again, as of that look. Call with look_lock held.
 */
void look_meets(const struct governor_input *in);
/* Waits or ends the program as PLIMSOLL_ON_LIMIT says, after a look that found no room for a
 * request of that size, or nearly none. false: refuse it. */
bool at_limit(size_t size, struct governor_decision *d);
/* How many reclaimers would be called at that level. */
unsigned runtime_reclaimers(enum plim_level level);

/* Has the watcher's next look ask reclaimers for at least so much. */
void watcher_ask(uint64_t bytes);
/* Has the watcher look at once. */
void watcher_wake(void);
/* Has it look at that time or before. */
void watcher_wake_by(uint64_t ns);
/* Starts it unless it runs or must not. */
void watcher_start(void);
bool watcher_runs(void);
/* Whether there is one, or will be once there is something to do for it. */
bool watcher_is_expected(void);
/* What it needs to know of the program to make a thread; at the start, with nothing else running.
 */
void watcher_measure(void);
/* A detached thread with signals blocked but for those of faults, with the stack that reclaimers
 * are promised, of the usual scheduling class and on the CPUs that the process started with, if it
 * may; 0 or what pthread_create() says. */
int watcher_create_thread(void *(*body)(void *), uint32_t turn);
/* It could not be made. Programs without reclaimers do well without it; others hear of it once. */
void watcher_report_missing(int rc);
/* Has another thread stand by while a pass of reclaimers runs. */
void watcher_stand_by(void);
/* How long the pass of reclaimers that runs has been running; 0: none runs. */
uint64_t watcher_pass_for(void);
/* Ends the thread and waits until the kernel has forgotten it; false: none ran, or it is busy. */
bool watcher_pause(void);
void watcher_resume(void);
/* Has it run reclaimers for `bytes` more, whatever the usage; false: not done within the time. */
bool watcher_pass(uint64_t bytes, uint64_t within_ns);
/* One look on the watcher's thread, in that turn of it, with what is due after it; returns the time
 * until the next. */
uint64_t watch_once(uint32_t turn);
/* Listens to what a service manager named, and acts on what that has told. */
void watch_listen_outside(void);
void watch_outside(void);
/* In a forked child; whether the parent had one. */
bool watcher_fork_child(void);
/* Something was freed: lets threads that are held back look again. */
void runtime_progress(void);

/* Everything that page.h lists but the limits, which only a look knows, and its peaks. Call with
 * look_lock held, or an arena that is destroyed meanwhile may be read. */
void stats_fill(uint64_t values[PAGE_FIELD_COUNT]);
/* Brings the stats page up to date after a look. Call with look_lock held. */
void stats_publish(const struct governor_input *in);

/* The descriptor of plim_pressure_fd(), or -errno. */
int pressure_fd_get(void);
void pressure_fd_signal(void);
void pressure_fd_fork_child(void);

#endif
