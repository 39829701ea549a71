/*
 * What to do at a given usage. Pure: time and measurements come in as arguments, decisions go out;
 * it reads no clock and no file, so tests drive it through hours in microseconds.
 *
 * One instance, used under the runtime's look lock.
 */
#ifndef PLIM_GOVERNOR_H
#define PLIM_GOVERNOR_H

#include "limits.h"

#include <plimsoll.h>

/* What a look found. Bytes. */
struct governor_input {
    uint64_t now_ns;
    struct limits limits;
    uint64_t usage;
    uint64_t on_the_way; /* page cache not in usage, maybe not droppable now: read_ahead.h */
    uint64_t swap_room;  /* part of usage that can still go to swap; 0 below critical */
    uint64_t nearer;     /* by how much less is left in another limited cgroup; 0: in none */
    uint64_t committed;
    uint64_t active;     /* pages in use */
    uint64_t dirty;      /* free pages, not given back yet */
    uint64_t absent;     /* of active: given back in the middle of slabs */
    uint64_t stuck;      /* of dirty: what a purge would not get, see governor_stuck() */
    uint64_t in_memory;  /* memory of the process, but for that of files; UNLIMITED: not known */
    uint64_t promised;   /* large requests of other threads that are about to be committed */
    uint64_t lately;     /* these, and what other threads got for their last ones, lately */
    uint64_t in_flight;  /* of that, about to be touched, see governor_in_flight() */
    uint64_t request;    /* an allocation about to be made; 0: none */
    unsigned reclaimers; /* how many would be called at this usage */
    bool from_watcher;   /* the watcher looks: perhaps nobody has allocated */
    bool aside;          /* a thread that frees, or calls the library: the heap need not grow */
    bool watched;        /* a watcher runs: it looks again whatever the program does */
    bool offered;        /* the program may begin to listen to pressure at any time */
    bool heard;          /* it listens, which counts once the heap matters */
    unsigned held;       /* threads that wait for room, the looking one included */
    bool alone;          /* other threads are not to be waited for: that was in vain */
    bool in_vain;        /* reclaimers seem to wait for the thread that looks */
    bool listeners;      /* somebody waits for level changes or registered a reclaimer */
};

/* Free pages that a purge gives back. */
static inline uint64_t governor_purgeable(const struct governor_input *in)
{
    return u64_less(in->dirty, in->stuck);
}

/* Usage without the free pages that a purge gives back. */
static inline uint64_t governor_in_use(const struct governor_input *in)
{
    return u64_less(in->usage, governor_purgeable(in));
}

/* Usage and the page cache that the kernel may not be able to drop now. */
static inline uint64_t governor_undroppable(const struct governor_input *in)
{
    return in->usage + in->on_the_way;
}

struct governor_decision {
    enum plim_level level;
    bool level_changed;
    uint64_t purge;      /* bytes of free pages to give back now; UINT64_MAX: all */
    bool flush_caches;   /* threads empty their caches when they next look */
    bool coalesce;       /* free pages side by side become one run as they are freed */
    int64_t decay_ms;    /* age at which jemalloc gives free pages back by itself; -1: its own */
    uint64_t look_after; /* committed bytes until the next look */
    uint64_t look_freed; /* free pages from which on a freeing thread looks; 0: it never does */
    /* Pages given back in slabs return as the slabs fill, which no count shows. A thread that fills
     * slabs looks when the last look is this old, or once what may have returned comes to what
     * governor_meanwhile() allows; 0: it need not. */
    uint64_t look_refilled_ns;
    bool heap_matters;       /* there should be a watcher thread */
    bool dormant;            /* the watcher sleeps until woken: the next allocation must look */
    uint64_t watch_after_ns; /* until the watcher's next look; UINT64_MAX: when woken */
    uint64_t ask;            /* bytes to ask of reclaimers on account of the request; 0: nothing */
    bool wanting;       /* purging does not bring usage below the soft limit: others must free */
    bool callbacks_due; /* the watcher should run reclaimers now */
    uint64_t hold_ns;   /* at the limit: how long to wait for others to free; 0: there is room */
    bool for_threads;   /* that is, for other threads: in vain where they do nothing */
    bool in_turn;       /* a large request waits until it fits: somebody may free as much */
    bool no_room;       /* after the purge above nothing is left between usage and the limit */
};

/* Before the next pass (a round of calls to reclaimers). Doubles while passes give little. */
struct governor_wait {
    uint64_t ns; /* 0: the last one gave enough */
    uint64_t until_ns;
};

struct governor {
    enum profile profile;
    uint64_t reclaim_cpu; /* cap: thousandths of a percent of one CPU */

    enum plim_level level;
    uint64_t hard;       /* the limit that `level` refers to */
    uint64_t flushed_ns; /* when thread caches were last asked to be emptied */
    /* CPU time that may be spent on reclaiming that no kill depends on; refills with time. */
    int64_t budget_ns;
    uint64_t budget_at_ns;

    /* Reclaimers. */
    struct governor_wait pass;         /* before the next, unless it is needed sooner */
    struct governor_wait request_pass; /* the same for a request that does not fit */
    uint64_t rest_ns;  /* the least pause after a pass that may have given nothing */
    uint64_t freed;    /* bytes that the last pass freed */
    uint64_t freed_ns; /* when it ended */
    uint64_t room;     /* below the limit, free pages included: the lesser of before and after it */
    uint64_t overhead; /* usage less free pages and live bytes, before it */

    /* As of the last look: a heap that has not changed since is idle. */
    uint64_t looked_active;
    uint64_t looked_committed;
    uint64_t changed_ns;    /* when a look last found a change */
    uint64_t idle_since_ns; /* likewise, or when an allocating thread last looked */

    /* The tide: pages in use fall and rise with the requests that a program serves. Bytes: where
     * they last fell from, how far down, and the most that came back in the present spell and the
     * one before. */
    uint64_t crest, trough;
    uint64_t came_back, came_back_before;
    uint64_t spell_ns; /* when the present one began */

    /* Free pages that purges do not get: locked on an old kernel, or madvise is refused. */
    uint64_t stuck;
    uint64_t stuck_ns;       /* when that was last found out */
    uint64_t short_since_ns; /* since when purges give too little; 0: they do not */
    uint64_t refused;        /* governor_purged.refused, as of the last purge that gave enough */

    /* Free blocks in slabs, bytes: all as last read; those on pages that are not in memory; of the
     * rest, those known not to be returnable. */
    uint64_t slabs_free;
    uint64_t slabs_absent;
    uint64_t slabs_kept;
    /* The present round over all slabs, bytes: free blocks in memory when it began, less what it
     * gave; pages that it found absent or gave back; what it gave. And the CPU time. */
    bool slabs_in_round;
    uint64_t slabs_left;
    uint64_t slabs_found;
    uint64_t slabs_given;
    uint64_t slabs_cpu_ns;
    /* The next round: how much must have become free, and not before which time; and from when on
     * it is made however little has become free. */
    uint64_t slabs_worth;
    uint64_t slabs_next_ns;
    uint64_t slabs_again_ns;
    bool slabs_again; /* the present round is one of the last kind */

    /* Pages about to be touched. The least that was untouched in the present spell and the one
     * before. */
    int64_t untouched, untouched_before;
    uint64_t untouched_ns;
    /* What a look last found to be in flight, and when; for how long none of it has been touched,
     * and the least that was in memory since; until when none is taken to be in flight. */
    uint64_t flight, flight_ns, flight_idle_ns, flight_from;
    uint64_t flight_none_until_ns;

    uint64_t seen_committed; /* when the watcher last looked */

    uint64_t over_since_ns; /* since when it is over the soft limit without success; 0: not over */
    bool cannot_meet;
    bool coalesces; /* as last decided: free pages are joined as they are freed */
};

void governor_init(struct governor *g, const struct options *options, uint64_t now_ns);

void governor_look(struct governor *g, const struct governor_input *in,
                   struct governor_decision *ret);

/* The purge that was decided gave so many bytes. Where that is less than was free, other threads
 * are just giving the rest back, or have taken it: it is no room yet. */
void governor_gave(const struct governor *g, const struct governor_input *in, uint64_t given,
                   struct governor_decision *d);

/* The part of in->lately that is not in memory yet. It may be touched at any moment, and all at
 * once. */
uint64_t governor_in_flight(struct governor *g, const struct governor_input *in);
/* Whether that may matter: in->in_memory should be known then. */
bool governor_may_be_crowded(const struct governor_input *in);

/* What other threads may commit while a look lasts, which may be long where it purges. */
uint64_t governor_meanwhile(const struct governor_input *in);

/* Bytes to ask of reclaimers now, after purging; 0: nothing. live: bytes in live allocations. */
uint64_t governor_target(const struct governor *g, const struct governor_input *in, uint64_t live);

/* What a pass of reclaimers gave. */
struct governor_pass {
    uint64_t now_ns;
    uint64_t took_ns;
    uint64_t asked;                   /* by decisions; 0: only the program asked */
    bool for_request;                 /* part of that for a large request */
    uint64_t said;                    /* what reclaimers say that they freed */
    uint64_t freed;                   /* what their thread freed, by jemalloc's count */
    uint64_t used_before, used_after; /* usage less free pages that a purge would give */
    uint64_t live_before, live_after; /* bytes in live allocations */
};
void governor_pass_done(struct governor *g, const struct governor_pass *pass);
/* Whether the last pass that decisions asked for gave next to nothing. */
bool governor_pass_was_useless(const struct governor *g);

/* What a purge gave. Bytes. */
struct governor_purged {
    uint64_t now_ns;
    uint64_t wanted;     /* no more than the free pages there were */
    uint64_t given;      /* by the calling thread */
    uint64_t dirty_left; /* free pages now */
    uint64_t refused;    /* that the kernel did not take, of all threads since the start */
};
void governor_purge_done(struct governor *g, const struct governor_purged *purged);
/* The part of `dirty` bytes of free pages that purges do not get. */
uint64_t governor_stuck(const struct governor *g, uint64_t dirty);

/* Free blocks in slabs have been counted; `free`: bytes. */
void governor_slabs_read(struct governor *g, uint64_t free);
/* Bytes of slabs' free pages to give back now; 0: none. */
uint64_t governor_slabs(struct governor *g, const struct governor_input *in);
/* What that gave. Bytes. */
struct governor_slabs_given {
    uint64_t now_ns;
    uint64_t cpu_ns; /* what it cost */
    uint64_t bytes;
    uint64_t absent; /* on free pages that were not in memory */
    bool is_exact;   /* false: which pages were in memory is not known, all count */
    bool all;        /* this completed a round over all slabs */
};
void governor_slabs_done(struct governor *g, const struct governor_slabs_given *given);

/* CPU time went into purging. Reclaimers' is not counted: they are asked for no more than needed.
 */
void governor_spend(struct governor *g, uint64_t cpu_ns);

/* Whether "cannot meet the limit" began or ended with the last look. */
enum governor_meets { GOVERNOR_SAME, GOVERNOR_CANNOT, GOVERNOR_CAN_AGAIN };
enum governor_meets governor_meets(struct governor *g, const struct governor_input *in);

#endif
