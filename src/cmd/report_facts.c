/* What the report says, in words and figures, see report.h. */
#include "report.h"

#include "../limits.h"
#include "words.h"

#include <stdarg.h>
#include <string.h>

static void group(const struct report_sink *to, const char *title)
{
    to->group(to->arg, title);
}

static void fact(const struct report_sink *to, const char *label, const char *format, ...)
    PLIM_PRINTF(3, 4);

static void fact(const struct report_sink *to, const char *label, const char *format, ...)
{
    char text[REPORT_LINE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    to->fact(to->arg, label, text);
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole == 0 || whole == UNLIMITED ? 0 : 100.0 * (double)part / (double)whole;
}

/* "the limit" where the binding one is neither of the smallest: a lower limit further up need not
 * be the first to be reached. */
static const char *limit_file(const struct flight *f)
{
    uint64_t hard = flight_value(f, PAGE_HARD);
    if (flight_value(f, PAGE_CGROUP_VERSION) == 1)
        return "memory.limit_in_bytes";
    if (hard == UNLIMITED)
        return "the limit";
    if (hard == flight_value(f, PAGE_CGROUP_MAX))
        return "memory.max";
    return hard == flight_value(f, PAGE_CGROUP_HIGH) ? "memory.high" : "the limit";
}

static void facts_process(const struct report_sink *to, const struct flight *f)
{
    static const char *const sources[] = {"nothing limits it", "a cgroup", "the machine's memory",
                                          "PLIMSOLL_LIMIT"};
    static const char *const pages[] = {
        [PAGE_LIVES] = "the stats page of the running process",
        [PAGE_DEAD] = "the stats page that it left behind",
        [PAGE_REPLACED] = "the stats page from before it ran another program",
        [PAGE_ELSEWHERE] = "the stats page of a process in another pid namespace",
    };
    uint64_t source = flight_value(f, PAGE_SOURCE);
    group(to, "The process");
    fact(to, "Program", "%s, pid %s, user %s", f->comm[0] != '\0' ? f->comm : "?",
         f->pid != UNLIMITED ? words_number(f->pid) : "?",
         f->uid != UNLIMITED ? words_number(f->uid) : "?");
    if (f->taken_ns != UNLIMITED && f->taken_ns > f->created_ns && f->created_ns > 0)
        fact(to, "Watched for", "%s", words_span(f->taken_ns - f->created_ns));
    fact(to, "Read from", "%s%s", f->from_page ? pages[f->life] : "a flight record",
         f->complete    ? ""
         : f->from_page ? ", cut short: its samples are missing"
                        : " that was cut short");
    if (f->limit_path[0] != '\0')
        fact(to, "Limited by", "%s of %s", limit_file(f), f->limit_path);
    else
        fact(to, "Limited by", "%s", source < ARRAY_LEN(sources) ? sources[source] : "not known");
    if (f->on_limit[0] != '\0')
        fact(to, "At the limit", "PLIMSOLL_ON_LIMIT=%s", f->on_limit);
    if (f->bad_lines > 0)
        fact(to, "Not readable", "%u lines or samples", f->bad_lines);
}

static const char *bytes_if_known(uint64_t n)
{
    return n == UNLIMITED ? "not known" : words_bytes(n);
}

static void facts_usage(const struct report_sink *to, const struct verdict *v)
{
    if (!v->limit_known)
        fact(to, "Usage", "%s; the limit is not known", bytes_if_known(v->usage));
    else if (v->hard == UNLIMITED)
        fact(to, "Usage", "%s; no limit", bytes_if_known(v->usage));
    else if (v->usage == UNLIMITED)
        fact(to, "Usage", "not known; the limit is %s, the soft limit %s", words_bytes(v->hard),
             words_bytes(v->soft));
    else
        fact(to, "Usage", "%s of %s (%.0f %%); the soft limit is %s", words_bytes(v->usage),
             words_bytes(v->hard), percent(v->usage, v->hard), words_bytes(v->soft));
}

static void facts_memory(const struct report_sink *to, const struct flight *f,
                         const struct verdict *v)
{
    const struct record_sample *last =
        f->sample_count > 0 ? &f->samples[f->sample_count - 1] : NULL;
    uint64_t committed = last != NULL ? last->committed : flight_value(f, PAGE_COMMITTED);
    uint64_t active = last != NULL ? last->active : flight_value(f, PAGE_ACTIVE);
    group(to, "Memory at the end");
    facts_usage(to, v);
    fact(to, "Highest", "%s", bytes_if_known(v->peak));
    fact(to, "Heap in use", "%s", bytes_if_known(active));
    fact(to, "Free pages of the heap", "%s", bytes_if_known(v->dirty_end));
    if (v->untouched_end > 0)
        fact(to, "Of the heap, not touched", "at least %s", words_bytes(v->untouched_end));
    else if (v->usage != UNLIMITED && committed != UNLIMITED)
        fact(to, "Outside the heap", "%s%s", words_bytes(u64_less(v->usage, committed)),
             f->values[PAGE_SOURCE] == LIMITS_CGROUP
                 ? ": of other processes of the cgroup, or not from malloc"
                 : "");
}

static void facts_rise(const struct report_sink *to, const struct flight *f,
                       const struct verdict *v)
{
    if (v->peak == UNLIMITED)
        return;
    group(to, "What grew");
    if (f->sample_count < 2) {
        fact(to, "Usage", "not known: there are no samples of the time before the end");
        return;
    }
    if (v->rise_usage <= 0 || v->rise_ns == 0) {
        fact(to, "Usage", "did not rise in the %s that are known", words_span(v->span_ns));
        return;
    }
    fact(to, "Usage", "%s in %s; %s a second before it was held back", words_change(v->rise_usage),
         words_span(v->rise_ns), words_bytes(v->rate));
    fact(to, "of this, heap in use", "%s", words_change(v->rise_active));
    fact(to, "free pages of the heap", "%s", words_change(v->rise_dirty));
    if (v->rise_untouched != 0)
        fact(to, "of the heap, not touched", "at least %s", words_change(v->rise_untouched));
    else
        fact(to, "outside the heap", "%s", words_change(v->rise_outside));
    fact(to, "Trend", v->still_rising ? "it was still rising" : "it was rising less and less");
    if (v->largest_request > 0)
        fact(to, "Largest single request", "%s, in the last seconds",
             words_bytes(v->largest_request));
}

static void facts_tried(const struct report_sink *to, const struct flight *f,
                        const struct verdict *v)
{
    bool seen = f->sample_count > 0;
    if (!seen && f->reclaimer_count == 0)
        return;
    group(to, "What was tried");
    if (seen)
        fact(to, "Purges of free pages", "%u, which gave back %s", v->purges,
             words_bytes(v->purged));
    if (v->passes > 0)
        fact(to, "Reclaimers (callbacks)", "%u passes, asked for %s, gave %s", v->passes,
             words_bytes(v->asked), words_bytes(v->freed));
    else if (f->values[PAGE_RECLAIMER_CALLS] > 0)
        fact(to, "Reclaimers (callbacks)", "not called in this time");
    else if (f->reclaimers_known && f->reclaimer_count == 0)
        fact(to, "Reclaimers (callbacks)", "none registered");
    else if (seen)
        fact(to, "Reclaimers (callbacks)", "none called");
    if (v->throttle_ns > 0)
        fact(to, "Threads held back", "for %s in all", words_span(v->throttle_ns));
    if (f->values[PAGE_FAILED_REQUESTS] > 0)
        fact(to, "Requests refused", "%llu since it started",
             (unsigned long long)f->values[PAGE_FAILED_REQUESTS]);
    if (seen)
        fact(to, "CPU time spent on it", "%s of %s", words_span(v->cpu_ns), words_span(v->span_ns));
    if (v->cannot_meet)
        fact(to, "Given up", "\"cannot meet the limit\": what is left is in use");
    for (unsigned i = 0; i < f->reclaimer_count; i++) {
        const struct flight_reclaimer *r = &f->reclaimers[i];
        char label[sizeof(r->name) + 16];
        (void)snprintf(label, sizeof(label), "callback \"%s\"", r->name);
        fact(to, label, "%llu calls since the start, asked for %s, gave %s",
             (unsigned long long)r->calls, words_bytes(r->asked), words_bytes(r->freed));
    }
}

static void facts_needed(const struct report_sink *to, const struct verdict *v)
{
    if (v->needed == UNLIMITED)
        return;
    group(to, "What would have been needed");
    fact(to, v->cause == REPORT_REQUEST ? "With that request" : "In use at most",
         "%s, without the free pages of this heap", words_bytes(v->needed));
    fact(to, "So at least a limit of", "%s, which has its soft limit there",
         words_bytes(v->needed_limit));
    if (v->still_rising && v->rate >= 1 && v->cause != REPORT_REQUEST)
        fact(to, "But it was still rising", "each 100 MiB more last another %s at that rate",
             words_span(100 * MiB * NS_PER_S / v->rate));
}

static void facts_resident(const struct report_sink *to, const struct flight *f)
{
    const struct record_resident *r = &f->resident;
    if (!f->resident_known)
        return;
    group(to, "Resident memory of this process");
    uint64_t committed = flight_value(f, PAGE_COMMITTED);
    if (committed == UNLIMITED)
        fact(to, "Anonymous", "%s", words_bytes(r->anonymous));
    else if (committed > r->anonymous)
        fact(to, "Anonymous", "%s; the heap has taken %s, and at least %s of that is not in memory",
             words_bytes(r->anonymous), words_bytes(committed),
             words_bytes(committed - r->anonymous));
    else
        fact(to, "Anonymous", "%s; the heap is up to %s of it", words_bytes(r->anonymous),
             words_bytes(committed));
    fact(to, "Shared", "%s: /dev/shm, memfd, System V", words_bytes(r->shared));
    fact(to, "Files", "%s: the program, libraries, mapped files", words_bytes(r->file));
    fact(to, "Page tables", "%s", words_bytes(r->page_tables));
    fact(to, "In swap", "%s", words_bytes(r->swap));
    fact(to, "Threads", "%llu", (unsigned long long)r->threads);
}

/* Sums over only some of the mappings tell nothing unless they cover most of what is resident. */
static bool maps_tell(const struct flight *f)
{
    const struct record_resident *r = &f->resident;
    uint64_t sum = 0;
    for (unsigned i = 0; i < RECORD_MAP_COUNT; i++)
        sum = u64_add(sum, f->maps[i].rss);
    return f->maps_known &&
           (!f->maps_cut ||
            (f->resident_known && sum >= u64_add(u64_add(r->anonymous, r->file), r->shared) / 2));
}

static void facts_maps(const struct report_sink *to, const struct flight *f)
{
    if (!maps_tell(f))
        return;
    group(to, f->maps_cut ? "Mapped memory (the first part of it)" : "Mapped memory");
    for (unsigned i = 0; i < RECORD_MAP_COUNT; i++) {
        const struct record_map_sum *m = &f->maps[i];
        if (m->mappings > 0)
            fact(to, record_maps[i].name, "%s in %llu %s: %s", words_bytes(m->rss),
                 (unsigned long long)m->mappings, m->mappings == 1 ? "mapping" : "mappings",
                 record_maps[i].meaning);
    }
}

void report_facts(const struct flight *f, const struct verdict *v, const struct report_sink *sink)
{
    facts_process(sink, f);
    facts_memory(sink, f, v);
    facts_rise(sink, f, v);
    facts_tried(sink, f, v);
    facts_needed(sink, v);
    facts_resident(sink, f);
    facts_maps(sink, f);
}
