/* What samples mean, see report.h. Pure. */
#include "report_internal.h"

#include "../limits.h"
#include "../options.h"

#include <string.h>

/* Usage that is not the heap's. Not negative: pages that the heap has taken show in the usage only
 * as they are touched. */
static uint64_t outside(const struct record_sample *s)
{
    return u64_less(report_known(s->usage), report_known(s->committed));
}

/* Untouched pages of the heap, at least: more where there is usage outside it. */
static uint64_t untouched(const struct record_sample *s)
{
    return s->usage == UNLIMITED ? 0 : u64_less(report_known(s->committed), s->usage);
}

static int64_t difference(uint64_t to, uint64_t from)
{
    return (int64_t)report_known(to) - (int64_t)report_known(from);
}

static void add(uint64_t *to, uint64_t more)
{
    *to = u64_min(*to + report_known(more), (uint64_t)1 << 60);
}

static void sum_up(const struct flight *f, struct verdict *v)
{
    const struct record_sample *last = &f->samples[f->sample_count - 1];
    for (unsigned i = 0; i < f->sample_count; i++) {
        const struct record_sample *s = &f->samples[i];
        v->purges += (s->events & PAGE_EVENT_PURGE) != 0;
        v->passes += (s->events & PAGE_EVENT_PASS) != 0;
        v->refusals += (s->events & PAGE_EVENT_REFUSED) != 0;
        add(&v->purged, s->purged);
        add(&v->asked, s->asked);
        add(&v->freed, s->freed);
        add(&v->throttle_ns, u64_min(s->throttle_us, UINT32_MAX) * 1000);
        add(&v->cpu_ns, u64_min(s->cpu_us, UINT32_MAX) * 1000);
        v->peak = u64_max(v->peak, report_known(s->usage));
        v->needed = u64_max(v->needed, report_in_use(s));
        if (last->at_ns - s->at_ns <= report_request_counts_ns)
            v->largest_request = u64_max(v->largest_request, report_known(s->request));
    }
    v->span_ns = last->at_ns - f->samples[0].at_ns;
    v->usage = last->usage;
    v->dirty_end = last->dirty;
    v->untouched_end = untouched(last);
    v->soft = last->soft;
    v->hard = last->hard;
}

/* Where the last rise begins: the last sample that is in the lowest tenth between the lowest usage
 * and the highest after it. */
static unsigned rise_begin(const struct flight *f, unsigned top)
{
    uint64_t low = UNLIMITED;
    for (unsigned i = 0; i <= top; i++)
        low = u64_min(low, report_known(f->samples[i].usage));
    uint64_t mark = low + (report_known(f->samples[top].usage) - low) / 10;
    unsigned begin = top;
    while (begin > 0 && report_known(f->samples[begin].usage) > mark)
        begin--;
    return begin;
}

/* The last sample with the highest usage: the fall follows it. */
static unsigned highest(const struct flight *f)
{
    unsigned top = 0;
    for (unsigned i = 1; i < f->sample_count; i++)
        if (report_known(f->samples[i].usage) >= report_known(f->samples[top].usage))
            top = i;
    return top;
}

/* When the sample's usage was seen: it is that of its highest look, the last one where usage
 * rises. */
static uint64_t seen_ns(const struct record_sample *s)
{
    return report_known(s->at_ns) + u64_min(s->span_us, UINT32_MAX) * 1000;
}

static uint64_t seen_apart(const struct record_sample *from, const struct record_sample *to)
{
    return u64_less(seen_ns(to), seen_ns(from));
}

/* Whether the last third of the rise, or somewhat more, was at least half as fast as all of it. */
static bool is_steady(const struct flight *f, unsigned begin, unsigned top, int64_t rise)
{
    const struct record_sample *last = &f->samples[top];
    uint64_t span = seen_apart(&f->samples[begin], last);
    unsigned i = top;
    while (i > begin && seen_apart(&f->samples[i], last) < span / 3)
        i--;
    int64_t lately = difference(last->usage, f->samples[i].usage);
    return (__int128)lately * 2 * span >= (__int128)rise * seen_apart(&f->samples[i], last);
}

/* The end of the rise below the soft limit: from there on the program is held back, so how fast it
 * grows by itself shows only before. */
static unsigned free_top(const struct flight *f, unsigned begin, unsigned top)
{
    unsigned i = begin;
    while (i < top && report_known(f->samples[i].usage) < f->samples[i].soft)
        i++;
    return i > begin ? i : top;
}

static void judge_rate(const struct flight *f, unsigned begin, unsigned top, struct verdict *v)
{
    int64_t rise = difference(f->samples[top].usage, f->samples[begin].usage);
    uint64_t ns = seen_apart(&f->samples[begin], &f->samples[top]);
    if (rise < REPORT_RISE_MIN || ns == 0)
        return;
    v->still_rising = is_steady(f, begin, top, rise);
    /* A broken record may tell of exabytes a nanosecond. */
    v->rate =
        u64_share(u64_min((uint64_t)rise, (uint64_t)1 << 50), NS_PER_S, u64_max(ns, NS_PER_MS));
}

static enum report_cause cause_of(const struct verdict *v)
{
    if (v->request.size > 0)
        return REPORT_REQUEST;
    if (v->rise_usage < REPORT_RISE_MIN)
        return REPORT_UNKNOWN;
    int64_t touched = v->rise_active - v->rise_untouched;
    if (v->rise_outside > touched && v->rise_outside > v->rise_dirty)
        return REPORT_OUTSIDE;
    return touched >= v->rise_dirty ? REPORT_LIVE : REPORT_FREE;
}

static void judge_rise(const struct flight *f, struct verdict *v)
{
    unsigned top = highest(f), begin = rise_begin(f, top);
    const struct record_sample *from = &f->samples[begin], *to = &f->samples[top];
    v->rise_ns = to->at_ns - from->at_ns;
    v->rise_usage = difference(to->usage, from->usage);
    v->rise_active = difference(to->active, from->active);
    v->rise_dirty = difference(to->dirty, from->dirty);
    v->rise_outside = difference(outside(to), outside(from));
    v->rise_untouched = difference(untouched(to), untouched(from));
    judge_rate(f, begin, free_top(f, begin, top), v);
    v->cause = cause_of(v);
}

/* Where the kernel kills: not at PLIMSOLL_LIMIT's bytes, which usage may pass, nor at memory.high.
 */
static bool was_at_hard_limit(const struct flight *f, const struct verdict *v)
{
    const uint64_t *values = f->values;
    bool stalls = values[PAGE_CGROUP_HIGH] == values[PAGE_HARD] &&
                  values[PAGE_CGROUP_MAX] > values[PAGE_HARD];
    return v->at_limit && values[PAGE_SOURCE] == LIMITS_CGROUP && !stalls &&
           report_known(v->usage) <= v->hard && values[PAGE_LEVEL] >= PAGE_LEVEL_CRITICAL;
}

static enum report_end end_of(const struct flight *f, const struct verdict *v)
{
    if (!f->from_page)
        return strcmp(f->reason, "abort") == 0 ? REPORT_REFUSED : REPORT_GOING_ON;
    switch (f->life) {
    case PAGE_LIVES:
        return REPORT_GOING_ON;
    case PAGE_ELSEWHERE:
        return REPORT_UNTOLD;
    case PAGE_REPLACED:
        return REPORT_REPLACED;
    case PAGE_DEAD:
        break;
    }
    return was_at_hard_limit(f, v) ? REPORT_AT_LIMIT : REPORT_GONE;
}

/* The limit whose soft limit would be `needed`, by the soft limit's present share. */
static uint64_t limit_for(uint64_t needed, const struct verdict *v)
{
    bool shared = v->soft != UNLIMITED && v->hard != UNLIMITED && v->soft > 0 && v->soft <= v->hard;
    unsigned __int128 limit = shared
                                  ? (unsigned __int128)needed * v->hard / v->soft
                                  : (unsigned __int128)needed * 100 * 1000 / LIMIT_PERCENT_DEFAULT;
    return limit > INT64_MAX ? UNLIMITED : (uint64_t)limit;
}

void report_judge(const struct flight *f, struct verdict *ret)
{
    *ret = (struct verdict){.usage = flight_value(f, PAGE_USAGE),
                            .soft = flight_value(f, PAGE_SOFT),
                            .hard = flight_value(f, PAGE_HARD),
                            .limit_known = f->have[PAGE_HARD] || f->sample_count > 0,
                            .dirty_end = flight_value(f, PAGE_DIRTY)};
    ret->peak = u64_max(report_known(flight_value(f, PAGE_PEAK_USAGE)), report_known(ret->usage));
    ret->needed = u64_less(report_known(ret->usage), report_known(ret->dirty_end));
    if (f->sample_count > 0) {
        sum_up(f, ret);
        report_find_request(f, &ret->request);
        judge_rise(f, ret);
    }
    ret->cannot_meet = f->values[PAGE_CANNOT_MEET] == 1;
    if (ret->cause == REPORT_REQUEST)
        ret->needed = u64_max(ret->needed, ret->request.before + ret->request.size);
    ret->needed_limit = limit_for(ret->needed, ret);
    if (ret->peak == 0) /* usage is never 0: it was never known */
        ret->peak = ret->needed = ret->needed_limit = UNLIMITED;
    ret->at_limit =
        ret->hard != UNLIMITED && report_known(ret->usage) >= u64_share(ret->hard, 9, 10);
    ret->end = end_of(f, ret);
}
