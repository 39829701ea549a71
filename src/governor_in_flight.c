/* Pages that are committed and about to be touched, see governor.h. */
#include "governor_internal.h"

/* How long what is never touched may be taken for what is about to be, or twice that. Long enough
 * for most of what many threads take to have been touched once. */
static const uint64_t untouched_spell_ns = 2 * NS_PER_S;
/* Where, for so long, next to nothing of what is in flight is touched, nothing is taken to be in
 * flight for a time. Longer than a thread that runs into the limit may sleep in the kernel, and
 * than a period of a CPU quota: 100 ms. Only what passes between two looks close to each other
 * counts. */
static const uint64_t idle_for_ns = 150 * NS_PER_MS;
static const uint64_t looks_apart_ns = 25 * NS_PER_MS;
static const uint64_t idle_gap_ns = 500 * NS_PER_MS; /* of little in flight: begins anew */
static const uint64_t idle_until_ns = 10 * NS_PER_S;

/* Less than the last stretch before the limit is no matter: that is kept free for such things. */
bool governor_may_be_crowded(const struct governor_input *in)
{
    const struct limits *l = &in->limits;
    if (l->source == LIMITS_NONE)
        return false;
    return in->lately >= l->hard - wall(l) &&
           projected_usage(in) + in->on_the_way + in->lately >= in->limits.soft;
}

/* In use or promised, and not in memory. Below 0: more is in memory than the heap, such as stacks.
 * Neither freeing, purging nor reuse changes it. */
static int64_t untouched(const struct governor_input *in)
{
    return (int64_t)(resident(in) + in->promised) - (int64_t)in->in_memory;
}

/* Call for each new value. Returns the least of the last spells, but no more than 0 at first: then
 * all that is untouched may be on its way. */
static int64_t least_untouched(struct governor *g, int64_t now, uint64_t now_ns)
{
    unsigned passed = governor_spells_passed(&g->untouched_ns, now_ns, untouched_spell_ns);
    if (passed > 0) {
        int64_t first = now < 0 ? now : 0;
        g->untouched_before = passed == 1 ? g->untouched : first;
        g->untouched = now;
    }
    if (now < g->untouched)
        g->untouched = now;
    return g->untouched < g->untouched_before ? g->untouched : g->untouched_before;
}

/* Whether memory has not risen by a part of what is in flight for so long. What threads wait for is
 * in flight: they may hold the lock that the others need to go on. And a program may take large
 * blocks over and over and never touch them. */
static bool stays_untouched(struct governor *g, const struct governor_input *in, uint64_t flight)
{
    bool much = flight >= purge_worth(in->limits.hard);
    uint64_t passed = u64_less(in->now_ns, g->flight_ns);
    bool touched = in->in_memory >= g->flight_from + u64_max(flight, g->flight) / 4;
    if (touched || passed >= idle_gap_ns)
        g->flight_idle_ns = 0;
    else if (much)
        g->flight_idle_ns += u64_min(passed, looks_apart_ns);
    if (touched || in->in_memory < g->flight_from)
        g->flight_from = in->in_memory;
    if (much) {
        g->flight = flight;
        g->flight_ns = in->now_ns;
    }
    if (g->flight_idle_ns >= idle_for_ns) {
        g->flight_none_until_ns = in->now_ns + idle_until_ns;
        g->flight_idle_ns = 0;
    }
    return in->now_ns < g->flight_none_until_ns;
}

/* By how much more is untouched than at the best of times, of what other threads have taken. */
uint64_t governor_in_flight(struct governor *g, const struct governor_input *in)
{
    if (in->in_memory == UNLIMITED)
        return u64_min(in->promised, in->lately);
    int64_t now = untouched(in);
    int64_t least = least_untouched(g, now, in->now_ns);
    uint64_t flight = u64_min((uint64_t)(now - least), in->lately);
    return stays_untouched(g, in, flight) ? 0 : flight;
}
