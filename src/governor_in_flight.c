/* Pages that are committed and about to be touched, see governor.h. */
#include "governor_internal.h"

/* What has not been touched for twice as long may never be. With that, threads that get their turn
 * late have up to three periods of a CPU quota. */
static const uint64_t taken_spell_ns = 150 * NS_PER_MS;
/* How long what is never touched may be taken for what is about to be, or twice that. Long enough
 * for most of what many threads take to have been touched once. */
static const uint64_t untouched_spell_ns = 2 * NS_PER_S;

void governor_note_taken(struct governor *g, const struct governor_input *in)
{
    unsigned passed = governor_spells_passed(&g->taken_ns, in->now_ns, taken_spell_ns);
    if (passed > 0) {
        g->taken_before = passed == 1 ? g->taken : in->taken;
        g->taken = in->taken;
    }
}

static uint64_t taken_lately(const struct governor *g, const struct governor_input *in)
{
    return u64_less(in->taken, g->taken_before) + in->promised;
}

bool governor_may_be_crowded(const struct governor *g, const struct governor_input *in)
{
    uint64_t taken = taken_lately(g, in);
    return taken > 0 && projected_usage(in) + in->on_the_way + taken >= in->limits.soft;
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

/* By how much more is untouched than at the best of times, of what was taken since. */
uint64_t governor_in_flight(struct governor *g, const struct governor_input *in)
{
    if (in->in_memory == UNLIMITED)
        return in->promised;
    int64_t now = untouched(in);
    int64_t least = least_untouched(g, now, in->now_ns);
    return u64_min((uint64_t)(now - least), taken_lately(g, in));
}
