/* The report as JSON, see report.h. */
#include "json.h"
#include "report.h"

#include <string.h>

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static json_t *seconds(uint64_t ns)
{
    return ns == UNLIMITED ? json_null() : json_seconds(ns);
}

/* What samples tell; null where there are too few of them. */
static json_t *seen(const struct flight *f, unsigned least, json_t *value)
{
    if (f->sample_count >= least)
        return value;
    json_decref(value);
    return json_null();
}

static json_t *verdict_json(const struct flight *f, const struct verdict *v)
{
    static const char *const causes[] = {"unknown", "live_memory", "free_pages", "outside_heap",
                                         "large_request"};
    static const char *const ends[] = {"going_on", "at_limit", "gone",
                                       "aborted",  "unknown",  "replaced"};
    char headline[REPORT_LINE_MAX];
    struct advice advice;
    json_t *o = json_object(), *lines = json_array();
    report_headline(f, v, headline, sizeof(headline));
    report_advise(f, v, &advice);
    for (unsigned i = 0; i < advice.count; i++)
        json_array_append_new(lines, json_text(advice.lines[i]));
    set(o, "headline", json_text(headline));
    set(o, "advice", lines);
    set(o, "cause", json_string(causes[v->cause]));
    set(o, "end", json_string(ends[v->end]));
    set(o, "rise_bytes", seen(f, 2, json_integer(v->rise_usage)));
    set(o, "rise_heap_in_use_bytes", seen(f, 2, json_integer(v->rise_active)));
    set(o, "rise_free_pages_bytes", seen(f, 2, json_integer(v->rise_dirty)));
    set(o, "rise_outside_heap_bytes", seen(f, 2, json_integer(v->rise_outside)));
    set(o, "rise_heap_untouched_bytes", seen(f, 2, json_integer(v->rise_untouched)));
    set(o, "rise_seconds", seen(f, 2, json_seconds(v->rise_ns)));
    set(o, "rise_bytes_per_second", seen(f, 2, json_number(v->rate)));
    set(o, "still_rising", seen(f, 2, json_boolean(v->still_rising)));
    set(o, "purged_bytes", seen(f, 1, json_known(v->purged)));
    set(o, "reclaimer_asked_bytes", seen(f, 1, json_known(v->asked)));
    set(o, "reclaimer_freed_bytes", seen(f, 1, json_known(v->freed)));
    set(o, "throttle_seconds", seen(f, 1, json_seconds(v->throttle_ns)));
    set(o, "largest_request_bytes", seen(f, 1, json_known(v->largest_request)));
    set(o, "needed_bytes", json_known(v->needed));
    set(o, "needed_limit_bytes", json_known(v->needed_limit));
    return o;
}

static json_t *values_json(const struct flight *f)
{
    json_t *o = json_object();
    for (unsigned i = 0; i < PAGE_FIELD_COUNT; i++)
        set(o, page_fields[i].name,
            page_fields[i].unit == PAGE_NS ? seconds(flight_value(f, i))
                                           : json_known(flight_value(f, i)));
    return o;
}

static json_t *samples_json(const struct flight *f)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < f->sample_count; i++) {
        const struct record_sample *s = &f->samples[i];
        json_t *o = json_object();
#define X(name, ...) set(o, #name, json_known(s->name));
        RECORD_SAMPLE(X)
#undef X
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *reclaimers_json(const struct flight *f)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < f->reclaimer_count; i++) {
        const struct flight_reclaimer *r = &f->reclaimers[i];
        json_t *o = json_object();
        set(o, "name", json_text(r->name));
        set(o, "calls", json_known(r->calls));
        set(o, "asked_bytes", json_known(r->asked));
        set(o, "freed_bytes", json_known(r->freed));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *resident_json(const struct flight *f)
{
    json_t *o = json_object();
#define X(name, ...) set(o, #name, json_known(f->resident.name));
    RECORD_RESIDENT(X)
#undef X
    return o;
}

static json_t *maps_json(const struct flight *f)
{
    json_t *all = json_object();
    for (unsigned i = 0; i < RECORD_MAP_COUNT; i++) {
        json_t *o = json_object();
        set(o, "mappings", json_known(f->maps[i].mappings));
        set(o, "resident_bytes", json_known(f->maps[i].rss));
        set(o, "anonymous_bytes", json_known(f->maps[i].anonymous));
        set(o, "swap_bytes", json_known(f->maps[i].swap));
        set(all, record_maps[i].name, o);
    }
    return all;
}

json_t *report_json(const struct flight *f, const struct verdict *v)
{
    json_t *o = json_object();
    set(o, "source", json_string(f->from_page ? "page" : "record"));
    set(o, "complete", json_boolean(f->complete));
    set(o, "running",
        f->from_page && f->life == PAGE_ELSEWHERE
            ? json_null()
            : json_boolean(f->from_page && f->life == PAGE_LIVES));
    set(o, "unreadable_lines", json_number(f->bad_lines));
    set(o, "reason", f->from_page ? json_null() : json_text(f->reason));
    set(o, "pid", json_known(f->pid));
    set(o, "uid", json_known(f->uid));
    set(o, "command", json_text(f->comm));
    set(o, "version", json_text(f->version));
    set(o, "cgroup_path", json_text(f->cgroup_path));
    set(o, "limit_path", f->limit_path[0] != '\0' ? json_text(f->limit_path) : json_null());
    set(o, "created_at", seconds(f->created_at));
    set(o, "taken_at", seconds(f->taken_at));
    set(o, "heap_profile", f->profile[0] != '\0' ? json_text(f->profile) : json_null());
    set(o, "verdict", verdict_json(f, v));
    set(o, "values", values_json(f));
    set(o, "reclaimers", f->reclaimers_known ? reclaimers_json(f) : json_null());
    set(o, "resident", f->resident_known ? resident_json(f) : json_null());
    set(o, "mapped", f->maps_known ? maps_json(f) : json_null());
    set(o, "mapped_complete", f->maps_known ? json_boolean(!f->maps_cut) : json_null());
    set(o, "samples", samples_json(f));
    return o;
}
