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
    uint64_t on_the_way; /* page cache besides: room, but not for growth, see read_ahead.h */
    uint64_t swap_room;  /* what of the usage can still go to swap, where the level is critical */
    uint64_t nearer;     /* so much less is left at another level than here */
    uint64_t committed;
    uint64_t active;     /* pages in use */
    uint64_t dirty;      /* free pages, not given back yet */
    uint64_t absent;     /* of the pages in use, those in slabs that were given back all the same */
    uint64_t stuck;      /* of them, what a purge would not give back either: governor_stuck() */
    uint64_t granted;    /* what committed will be with the large requests just granted */
    uint64_t request;    /* an allocation about to be made; 0: none */
    unsigned reclaimers; /* registered, for the level that would be */
    bool from_watcher;   /* nobody may have allocated */
    bool watched;        /* there is a watcher: a later look, whatever the program does */
    bool offered;        /* somebody may at any time begin to hear of pressure */
    bool heard;          /* somebody does, whom only a heap that matters concerns */
    unsigned held;       /* threads that wait for room, the one that looks among them */
    bool in_vain;        /* reclaimers seem to wait for the one that looks */
    bool listeners;      /* somebody waits for level changes or registered a reclaimer */
};

/* Free pages that a purge gives back. */
static inline uint64_t governor_purgeable(const struct governor_input *in)
{
    return u64_less(in->dirty, in->stuck);
}

/* What is used and not just such pages. */
static inline uint64_t governor_in_use(const struct governor_input *in)
{
    return u64_less(in->usage, governor_purgeable(in));
}

/* With page cache that the kernel may not be able to drop now. */
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
    /* Pages come back as slabs are filled, which shows in no count: threads that do so look after
     * so long, or once it may be what governor_meanwhile() allows; 0: they need not. */
    uint64_t look_refilled_ns;
    bool heap_matters;       /* there should be a watcher thread */
    bool dormant;            /* the watcher sleeps until woken: the next allocation must look */
    uint64_t watch_after_ns; /* until the watcher's next look; UINT64_MAX: when woken */
    uint64_t ask;            /* bytes to ask of reclaimers on account of the request; 0: nothing */
    bool wanting;       /* purging does not bring usage below the soft limit: others must free */
    bool callbacks_due; /* the watcher should run reclaimers now */
    uint64_t hold_ns;   /* at the limit: how long to wait for others to free; 0: there is room */
    bool no_room;       /* after the purge above nothing is left between usage and the limit */
};

/* Doubles while passes give little. */
struct governor_wait {
    uint64_t ns; /* 0: the last one gave enough */
    uint64_t until_ns;
};

struct governor {
    enum profile profile;
    uint64_t reclaim_cpu; /* cap: thousandths of a percent of one CPU */

    enum plim_level level;
    uint64_t hard;       /* the limit that it is of */
    uint64_t flushed_ns; /* when thread caches were last asked to be emptied */
    /* CPU time that may be spent on reclaiming that no kill depends on; refills with time. */
    int64_t budget_ns;
    uint64_t budget_at_ns;

    /* Reclaimers. */
    struct governor_wait pass;         /* to the next, unless there is need */
    struct governor_wait request_pass; /* likewise, for a request that does not fit */
    uint64_t rest_ns;  /* after a pass that may not have given anything, in any case */
    uint64_t freed;    /* bytes that the last pass freed */
    uint64_t freed_ns; /* when it ended */
    uint64_t room;     /* below the limit, free pages included: when least, before or after it */
    uint64_t overhead; /* usage less free pages and live bytes, before it */

    /* As of the last look: a heap that has not changed since is idle. */
    uint64_t looked_active;
    uint64_t looked_committed;
    uint64_t changed_ns;    /* when one last found a change */
    uint64_t idle_since_ns; /* the same, but an allocation that changed nothing counts too */

    /* Pages in use go and come with the requests that a program serves, bytes: from where they fell
     * last, how far, and the most that came back of it in the present spell and the one before. */
    uint64_t crest, trough;
    uint64_t came_back, came_back_before;
    uint64_t spell_ns; /* when the present one began */

    /* Free pages that purges do not get: locked ones on an old kernel, or where madvise is refused.
     */
    uint64_t stuck;
    uint64_t stuck_ns;       /* when that was last found out */
    uint64_t short_since_ns; /* purges give too little since; 0: they do not */
    uint64_t refused;        /* as of the last purge that gave what was wanted */

    /* Free blocks in slabs, bytes: all as last read, those on pages that are not in memory, and of
     * the rest what cannot be given back, as far as is known. */
    uint64_t slabs_free;
    uint64_t slabs_absent;
    uint64_t slabs_kept;
    /* The present round over all slabs: the rest when it began, less what it gave; the pages that
     * it has found not to be in memory, or given back; and what it cost. */
    bool slabs_in_round;
    uint64_t slabs_left;
    uint64_t slabs_found;
    uint64_t slabs_given;
    uint64_t slabs_cpu_ns;
    /* The next one: how much must have become free, and not before; or in any case from then on, */
    uint64_t slabs_worth;
    uint64_t slabs_next_ns;
    uint64_t slabs_again_ns;
    bool slabs_again; /* as the present one was */

    uint64_t seen_committed; /* by the watcher, when it last looked */

    uint64_t over_since_ns; /* soft limit exceeded without success since; 0: it is not */
    bool cannot_meet;
    bool coalesces; /* free pages were to be joined as they are freed */
};

void governor_init(struct governor *g, const struct options *options, uint64_t now_ns);

void governor_look(struct governor *g, const struct governor_input *in,
                   struct governor_decision *ret);

/* What other threads may commit while a look lasts, which may be long where it purges. */
uint64_t governor_meanwhile(const struct governor_input *in);

/* Bytes to ask of reclaimers now, after purging; 0: nothing. live: bytes in live allocations. */
uint64_t governor_target(const struct governor *g, const struct governor_input *in, uint64_t live);

/* What a pass of reclaimers gave. */
struct governor_pass {
    uint64_t now_ns;
    uint64_t took_ns;
    uint64_t asked;                   /* by decisions; 0: only the program wanted it */
    bool for_request;                 /* by those for a request as well */
    uint64_t said;                    /* to have been freed, by reclaimers */
    uint64_t freed;                   /* by the heap's count, not by what reclaimers say */
    uint64_t used_before, used_after; /* usage less free pages that a purge would give */
    uint64_t live_before, live_after; /* bytes in live allocations */
};
void governor_pass_done(struct governor *g, const struct governor_pass *pass);
/* Whether the last one that decisions asked for gave next to nothing. */
bool governor_pass_was_useless(const struct governor *g);

/* What a purge gave. Bytes. */
struct governor_purged {
    uint64_t now_ns;
    uint64_t wanted;     /* as far as there were free pages */
    uint64_t given;      /* by the calling thread */
    uint64_t dirty_left; /* free pages now */
    uint64_t refused;    /* that the kernel did not take, of all threads since the start */
};
void governor_purge_done(struct governor *g, const struct governor_purged *purged);
/* Of that many free pages, those that purges do not get. */
uint64_t governor_stuck(const struct governor *g, uint64_t dirty);

/* Slabs' free blocks were counted: so many bytes in all. */
void governor_slabs_read(struct governor *g, uint64_t free);
/* Bytes of slabs' free pages to give back now; 0: none. */
uint64_t governor_slabs(struct governor *g, const struct governor_input *in);
/* What that gave. Bytes. */
struct governor_slabs_given {
    uint64_t now_ns;
    uint64_t cpu_ns; /* what it cost */
    uint64_t bytes;
    uint64_t absent; /* on free pages that were not in memory */
    bool is_exact;   /* false: all were taken for it */
    bool all;        /* all slabs have been seen since the last time that was so */
};
void governor_slabs_done(struct governor *g, const struct governor_slabs_given *given);

/* CPU time went into purging. Reclaimers' is not counted: they are asked for no more than needed.
 */
void governor_spend(struct governor *g, uint64_t cpu_ns);

/* Whether "cannot meet the limit" began or ended with the last look. */
enum governor_meets { GOVERNOR_SAME, GOVERNOR_CANNOT, GOVERNOR_CAN_AGAIN };
enum governor_meets governor_meets(struct governor *g, const struct governor_input *in);

#endif
