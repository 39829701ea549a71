/* What a flight record holds, see record.h and record_format.h. */
#include "record_internal.h"

#include "heap_profile.h"
#include "inside.h"
#include "reclaimers.h"
#include "stats_page_file.h"

#include <string.h>

/* The kernel takes 35 ms and more for each resident GiB to list what is mapped. */
static const uint64_t smaps_max_resident = GiB;

static void line_number(struct record_out *o, const char *word, uint64_t n)
{
    record_line(o, word);
    record_number(o, n);
    record_line_end(o);
}

static void line_text(struct record_out *o, const char *word, const char *text)
{
    record_line(o, word);
    record_text(o, text);
    record_line_end(o);
}

/* The process's present name: programs change it after the page was made. */
static void line_comm(struct record_out *o, const struct page_view *view)
{
    char comm[PAGE_COMM_MAX];
    line_text(o, "comm", page_comm(0, comm) ? comm : view->comm);
}

static void line_limit_path(struct record_out *o, const struct page_view *view)
{
    char path[PAGE_PATH_MAX] = "";
    if (view->limit_path_len == 0)
        return;
    memcpy(path, view->cgroup_path, view->limit_path_len);
    line_text(o, "limit_path", path);
}

void record_write_head(struct record_out *o, const struct record_job *job,
                       const struct page_view *view, uint64_t wall_ns)
{
    char on_limit[OPTION_WORD_MAX];
    options_word(OPTION_ON_LIMIT, job->options->on_limit, on_limit);
    record_line(o, RECORD_FIRST_LINE);
    record_line_end(o);
    line_text(o, "reason", job->reason);
    line_number(o, "pid", view->pid);
    line_number(o, "start_time", view->start_time);
    line_number(o, "uid", view->uid);
    line_comm(o, view);
    line_text(o, "version", view->version);
    line_text(o, "cgroup_path", view->cgroup_path);
    line_limit_path(o, view);
    line_text(o, "on_limit", on_limit);
    line_number(o, "created_ns", view->created_ns);
    line_number(o, "created_at", view->created_at);
    line_number(o, "taken_ns", job->now_ns);
    line_number(o, "taken_at", wall_ns);
    for (unsigned i = 0; i < PAGE_FIELD_COUNT; i++) {
        record_line(o, "value ");
        fmt_str(&o->f, page_fields[i].name);
        record_number(o, view->values[i]);
        record_line_end(o);
    }
}

void record_write_samples(struct record_out *o, const struct page_view *view)
{
    for (unsigned i = 0, n = page_sample_count(view); i < n; i++) {
        struct page_sample packed = page_sample_at(view, i);
        struct record_sample s;
        record_sample_unpack(&packed, &s);
        record_line(o, "sample");
#define X(field, ...) record_number(o, s.field);
        RECORD_SAMPLE(X)
#undef X
        record_line_end(o);
    }
}

void record_write_reclaimers(struct record_out *o)
{
    struct reclaimer_info info;
    line_number(o, "reclaimers", reclaimers_count(PLIM_CRITICAL));
    for (unsigned slot = 0; slot < RECLAIMERS_MAX; slot++) {
        if (!reclaimers_info(slot, &info))
            continue;
        record_line(o, "reclaimer");
        record_number(o, info.calls);
        record_number(o, info.asked);
        record_number(o, info.freed);
        record_text(o, info.name);
        record_line_end(o);
    }
}

void record_write_resident(struct record_out *o, struct record_resident *ret)
{
    if (!record_resident(&o->scratch, ret))
        return;
    record_line(o, "resident");
#define X(name, ...) record_number(o, ret->name);
    RECORD_RESIDENT(X)
#undef X
    record_line_end(o);
}

void record_write_maps(struct record_out *o, const struct record_resident *resident,
                       uint64_t deadline_ns)
{
    struct record_map_sum sums[RECORD_MAP_COUNT];
    if (resident->anonymous + resident->file + resident->shared > smaps_max_resident)
        return;
    bool all = record_smaps(&o->scratch, deadline_ns, sums);
    for (unsigned i = 0; i < RECORD_MAP_COUNT; i++) {
        record_line(o, "map");
        record_text(o, record_maps[i].name);
        record_number(o, sums[i].mappings);
        record_number(o, sums[i].rss);
        record_number(o, sums[i].anonymous);
        record_number(o, sums[i].swap);
        record_line_end(o);
    }
    if (!all)
        line_text(o, "maps_cut", "");
}

struct quoted {
    struct record_out *out;
    bool at_start;
    uint64_t deadline_ns;
};

static void quote(void *arg, const char *text)
{
    struct quoted *q = arg;
    if (sys_now_ns() < q->deadline_ns)
        record_quote(q->out, text, &q->at_start);
}

void record_write_jemalloc(struct record_out *o, uint64_t deadline_ns)
{
    struct quoted q = {.out = o, .at_start = true, .deadline_ns = deadline_ns};
    inside_stats_print(quote, &q, "axe"); /* not each arena, no locks, no extents */
    if (!q.at_start)
        record_line_end(o);
}

void record_write_profile(struct record_out *o, const char *record_path)
{
    char path[RECORD_PATH_MAX];
    struct fmt f = FMT_INIT(path);
    if (!heap_profile_is_on())
        return;
    fmt_strn(&f, record_path, (size_t)(strrchr(record_path, '.') - record_path));
    fmt_str(&f, RECORD_PROFILE_SUFFIX);
    if (heap_profile_write_new(path) == 0)
        line_text(o, "profile", strrchr(path, '/') + 1);
}
