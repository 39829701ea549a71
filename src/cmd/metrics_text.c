/* Metrics as text, see metrics.h. */
#include "figures.h"
#include "json.h"
#include "left_behind.h"
#include "metrics.h"

#include <inttypes.h>
#include <string.h>

/* Behind another one. */
static void write_label(const char *name, const char *value, FILE *to)
{
    fprintf(to, ",%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            fputc('\\', to);
        fputc((*value & 0x80) != 0 ? '?' : *value, to); /* labels are UTF-8: no half characters */
    }
    fputc('"', to);
}

/* Writes what stands in front of a value. more: with labels that only describe the process. */
static void write_series(const char *name, const struct process *p, bool more, FILE *to)
{
    fprintf(to, "plimsoll_%s{pid=\"%" PRIu64 "\"", name, p->view.pid);
    write_label("comm", p->comm, to);
    if (more) {
        write_label("cgroup", p->view.cgroup_path, to);
        write_label("version", p->view.version, to);
    }
    fputs("} ", to);
}

static void write_head(const char *name, const char *type, const char *unit, const char *help,
                       enum metrics_format format, FILE *to)
{
    bool counter = strcmp(type, "counter") == 0;
    const char *total = counter && format == METRICS_PROMETHEUS ? "_total" : "";
    fprintf(to, "# HELP plimsoll_%s%s %s\n", name, total, help);
    fprintf(to, "# TYPE plimsoll_%s%s %s\n", name, total, type);
    if (unit != NULL && format == METRICS_OPENMETRICS)
        fprintf(to, "# UNIT plimsoll_%s %s\n", name, unit);
}

static void write_value(enum page_unit unit, uint64_t v, FILE *to)
{
    if (unit == PAGE_NS)
        fprintf(to, "%" PRIu64 ".%09" PRIu64 "\n", v / NS_PER_S, v % NS_PER_S);
    else if (unit == PAGE_BYTES && v == UNLIMITED)
        fputs("+Inf\n", to);
    else
        fprintf(to, "%" PRIu64 "\n", v);
}

static const char *unit_word(enum page_unit unit)
{
    return unit == PAGE_BYTES ? "bytes" : unit == PAGE_NS ? "seconds" : NULL;
}

/* A usage that is not known is left out rather than infinite. */
static bool is_known(const struct page_view *view, enum page_field field)
{
    return (unsigned)field < view->known &&
           !(figure_is_usage(field) && view->values[field] == UNLIMITED);
}

static void write_field(const struct pages *pages, enum page_field field,
                        enum metrics_format format, FILE *to)
{
    const struct page_field_info *info = &page_fields[field];
    bool counter = info->kind == PAGE_COUNTER;
    char name[64];
    (void)snprintf(name, sizeof(name), "%s%s", info->name, counter ? "_total" : "");
    write_head(info->name, counter ? "counter" : "gauge", unit_word(info->unit), info->help, format,
               to);
    for (size_t i = 0; i < pages->count; i++) {
        const struct process *p = &pages->list[i];
        if (!is_known(&p->view, field))
            continue;
        write_series(name, p, false, to);
        write_value(info->unit, figure_value(&p->view, field, pages->now_ns), to);
    }
}

/* Figures that are derived here, not on the page. */
static void write_derived(const struct pages *pages, enum metrics_format format, FILE *to)
{
    write_head("headroom_bytes", "gauge", "bytes", "From usage to the hard limit.", format, to);
    for (size_t i = 0; i < pages->count; i++) {
        uint64_t headroom;
        if (!figure_headroom(&pages->list[i].view, &headroom))
            continue;
        write_series("headroom_bytes", &pages->list[i], false, to);
        write_value(PAGE_BYTES, headroom, to);
    }
    write_head("age_seconds", "gauge", "seconds", "How old the figures of a process are.", format,
               to);
    for (size_t i = 0; i < pages->count; i++) {
        write_series("age_seconds", &pages->list[i], false, to);
        write_value(PAGE_NS, figure_age(&pages->list[i].view, pages->now_ns), to);
    }
}

static void write_info(const struct pages *pages, enum metrics_format format, FILE *to)
{
    bool open = format == METRICS_OPENMETRICS;
    write_head(open ? "process" : "process_info", open ? "info" : "gauge", NULL,
               "The processes under Plimsoll.", format, to);
    for (size_t i = 0; i < pages->count; i++) {
        write_series("process_info", &pages->list[i], true, to);
        fputs("1\n", to);
    }
    write_head("processes", "gauge", NULL, "How many processes have a stats page.", format, to);
    fprintf(to, "plimsoll_processes %zu\n", pages->count);
    write_head("dead_processes", "gauge", NULL,
               "How many died within a day, at level critical or after refused requests.", format,
               to);
    fprintf(to, "plimsoll_dead_processes %zu\n", pages->dead_count);
}

void metrics_write(const struct pages *pages, enum metrics_format format, FILE *to)
{
    write_info(pages, format, to);
    write_derived(pages, format, to);
    for (unsigned i = 0; i < PAGE_FIELD_COUNT; i++)
        if (page_fields[i].kind != PAGE_CLOCK)
            write_field(pages, (enum page_field)i, format, to);
    fputs("# EOF\n", to);
}

static json_t *kib_or_null(uint32_t units)
{
    return units == UINT32_MAX ? json_null()
                               : json_number((uint64_t)units * (PAGE_SAMPLE_UNIT / KiB));
}

/* [seconds ago, usage KiB, hard limit KiB, level], oldest first. */
static json_t *history_json(const struct page_view *view, uint64_t now_ns)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < page_sample_count(view); i++) {
        struct page_sample sample = page_sample_at(view, i);
        uint64_t last = sample.at_ns + sample.span_us * (uint64_t)1000;
        json_t *row = json_array();
        json_array_append_new(row, json_seconds(u64_less(now_ns, last)));
        json_array_append_new(row, kib_or_null(sample.usage));
        json_array_append_new(row, kib_or_null(sample.hard));
        json_array_append_new(row, json_number(sample.level));
        json_array_append_new(list, row);
    }
    return list;
}

/* In compact form; `one` is freed. */
static void dump(json_t *one, FILE *to)
{
    (void)json_dumpf(one, to,
                     JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6) | JSON_ENCODE_ANY);
    json_decref(one);
}

/* Behind another member. */
static void write_left_json(const struct pages *pages, FILE *to)
{
    json_t *left = json_object(), *value;
    const char *key;
    left_behind_json(pages, left);
    json_object_foreach(left, key, value)
    {
        fprintf(to, ",\"%s\":", key);
        dump(json_incref(value), to);
    }
    json_decref(left);
}

/* One process at a time: a history takes ten times the memory before it is text. */
void metrics_write_json(const struct pages *pages, FILE *to)
{
    fputs("{\"processes\":[", to);
    for (size_t i = 0; i < pages->count; i++) {
        json_t *one = process_json(&pages->list[i], pages->now_ns);
        json_object_set_new(one, "history", history_json(&pages->list[i].view, pages->now_ns));
        fputs(i > 0 ? "," : "", to);
        dump(one, to);
    }
    fputc(']', to);
    write_left_json(pages, to);
    fputc('}', to);
}
