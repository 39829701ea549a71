/*
 * Whether one large request ended the process, see report_internal.h. Pure.
 *
 * A sample sums up some looks: its figures are those of the look with the highest usage, its
 * request is the largest of all. So the figures may include the request already, or not yet.
 */
#include "report_internal.h"

/* In use just before a request: what counts against the limit, and of the heap. */
struct before {
    uint64_t used, active;
};

enum fate {
    FATE_FREED,   /* it was given back, so something else ended the process */
    FATE_HELD,    /* the heap held it at the end, or it was still being served */
    FATE_REFUSED, /* by PLIMSOLL_ON_LIMIT=fail */
};

/* The sample's figures are those of a look after its request was served. */
static bool holds_already(const struct record_sample *prev, const struct record_sample *s)
{
    uint64_t was = prev != NULL ? report_known(prev->active) : 0;
    return s->looks > 1 && report_known(s->active) >= was + report_known(s->request);
}

/* Part of the request may have been touched already. So `used` is at most that of the sample before
 * plus what the heap has taken since; without such a sample, what is outside the heap plus what the
 * heap held. */
static struct before before_request(const struct record_sample *prev, const struct record_sample *s)
{
    struct before b = {.used = report_in_use(s), .active = report_known(s->active)};
    if (!holds_already(prev, s))
        return b;
    uint64_t outside = u64_less(b.used, b.active);
    b.active -= report_known(s->request);
    uint64_t most = prev != NULL
                        ? report_in_use(prev) + u64_less(b.active, report_known(prev->active))
                        : outside + b.active;
    b.used = u64_min(b.used, most);
    return b;
}

static bool still_waits(const struct record_sample *s, uint64_t request)
{
    return s->request == request || (s->events & PAGE_EVENT_THROTTLE) != 0;
}

/* What became of the request of the i-th sample. Other blocks of its size may be freed meanwhile,
 * so an eighth of it may be missing. */
static enum fate fate_of(const struct flight *f, unsigned i, const struct before *b)
{
    uint64_t request = report_known(f->samples[i].request);
    uint64_t with = b->active + request - request / 8;
    bool held = b->active < report_known(f->samples[i].active);
    bool refused = (f->samples[i].events & PAGE_EVENT_REFUSED) != 0;
    for (unsigned j = i + 1; j < f->sample_count; j++) {
        const struct record_sample *s = &f->samples[j];
        refused = refused || (s->events & PAGE_EVENT_REFUSED) != 0;
        if (report_known(s->active) >= with)
            held = true;
        else if (held || !still_waits(s, f->samples[i].request))
            return refused && !held ? FATE_REFUSED : FATE_FREED;
    }
    return refused && !held ? FATE_REFUSED : FATE_HELD;
}

/* Usage rose further, but not as the request was touched: the heap took more, or, where the request
 * was refused, half of the room that was left went to anything else. */
static bool others_grew(const struct record_sample *last, const struct before *b,
                        const struct report_request *r)
{
    uint64_t grown = u64_less(report_in_use(last), b->used);
    uint64_t others = u64_less(report_known(last->active), b->active + r->size);
    if (r->refused)
        return grown >= REPORT_RISE_MIN && grown > r->room / 2;
    return others >= REPORT_RISE_MIN && others > grown / 2;
}

static bool judge(const struct flight *f, unsigned i, struct report_request *ret)
{
    const struct record_sample *s = &f->samples[i], *last = &f->samples[f->sample_count - 1];
    struct before b = before_request(i > 0 ? s - 1 : NULL, s);
    enum fate fate = fate_of(f, i, &b);
    *ret = (struct report_request){
        .size = report_known(s->request),
        .room = u64_less(s->hard, b.used),
        .before = b.used,
        .refused = fate == FATE_REFUSED,
    };
    return s->usage != UNLIMITED && ret->size > ret->room && ret->size > s->hard / 16 &&
           fate != FATE_FREED && !others_grew(last, &b, ret);
}

/* One as large had been served and freed before: what has changed is the room that other memory
 * left for it. */
static bool was_served_before(const struct flight *f, unsigned i)
{
    uint64_t request = report_known(f->samples[i].request);
    for (unsigned j = 0; j < i; j++) {
        const struct record_sample *s = &f->samples[j];
        struct before b = before_request(j > 0 ? s - 1 : NULL, s);
        if (report_known(s->request) >= request - request / 8 && fate_of(f, j, &b) == FATE_FREED)
            return true;
    }
    return false;
}

void report_find_request(const struct flight *f, struct report_request *ret)
{
    uint64_t end_ns = f->samples[f->sample_count - 1].at_ns;
    unsigned which = 0;
    *ret = (struct report_request){0};
    for (unsigned i = 0; i < f->sample_count; i++) {
        struct report_request r;
        if (end_ns - f->samples[i].at_ns > report_request_counts_ns ||
            report_known(f->samples[i].request) < u64_max(ret->size, 1) || !judge(f, i, &r))
            continue;
        *ret = r;
        which = i;
    }
    if (ret->size > 0 && !ret->refused && was_served_before(f, which))
        *ret = (struct report_request){0};
}
