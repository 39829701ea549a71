/* The figures of a stats page, see figures.h. */
#include "figures.h"

#include "json.h"
#include "words.h"

bool figure_headroom(const struct page_view *view, uint64_t *ret)
{
    uint64_t hard = view->values[PAGE_HARD], usage = view->values[PAGE_USAGE];
    *ret = hard == UNLIMITED || usage == UNLIMITED ? UNLIMITED : u64_less(hard, usage);
    return hard == UNLIMITED || usage != UNLIMITED;
}

const char *figure_headroom_text(const struct page_view *view)
{
    uint64_t headroom;
    bool known = figure_headroom(view, &headroom);
    return figure_bytes(known ? PAGE_HARD : PAGE_USAGE, headroom);
}

uint64_t figure_age(const struct page_view *view, uint64_t now_ns)
{
    return u64_less(now_ns, view->values[PAGE_UPDATED]);
}

uint64_t figure_value(const struct page_view *view, enum page_field field, uint64_t now_ns)
{
    uint64_t v = view->values[field];
    return page_fields[field].kind == PAGE_SINCE && v != 0 ? u64_less(now_ns, v) : v;
}

const char *source_name(uint64_t source)
{
    static const char *const words[] = {"none", "cgroup", "machine", "process"};
    return source < ARRAY_LEN(words) ? words[source] : "?";
}

bool figure_is_usage(enum page_field field)
{
    return field == PAGE_USAGE || field == PAGE_PEAK_USAGE;
}

const char *figure_bytes(enum page_field field, uint64_t bytes)
{
    return bytes != UNLIMITED ? words_bytes(bytes) : figure_is_usage(field) ? "?" : "none";
}

static json_t *field_json(const struct page_view *view, enum page_field field, uint64_t now_ns)
{
    uint64_t v = figure_value(view, field, now_ns);
    switch (field) {
    case PAGE_LEVEL:
        return json_text(page_level_word(v));
    case PAGE_SOURCE:
        return json_text(source_name(v));
    case PAGE_CANNOT_MEET:
    case PAGE_WATCHER:
        return json_boolean(v != 0);
    default:
        break;
    }
    if (page_fields[field].unit == PAGE_NS)
        return json_seconds(v);
    if (page_fields[field].unit == PAGE_BYTES)
        return v == UNLIMITED && figure_is_usage(field) ? json_null() : json_limit(v);
    return json_number(v);
}

json_t *process_json(const struct process *p, uint64_t now_ns)
{
    const struct page_view *view = &p->view;
    uint64_t headroom;
    bool known = figure_headroom(view, &headroom);
    json_t *all = json_object();
    json_object_set_new(all, "pid", json_number(view->pid));
    json_object_set_new(all, "comm", json_text(p->comm));
    json_object_set_new(all, "uid", json_number(view->uid));
    json_object_set_new(all, "age_seconds", json_seconds(figure_age(view, now_ns)));
    json_object_set_new(all, "headroom_bytes", known ? json_limit(headroom) : json_null());
    for (unsigned i = 0; i < view->known; i++)
        if (page_fields[i].kind != PAGE_CLOCK)
            json_object_set_new(all, page_fields[i].name,
                                field_json(view, (enum page_field)i, now_ns));
    json_object_set_new(all, "cgroup_path", json_text(view->cgroup_path));
    json_object_set_new(all, "library_version", json_text(view->version));
    json_object_set_new(all, "page", json_text(p->path));
    return all;
}
