/* Stats pages whose processes do not live here, see left_behind.h. */
#include "left_behind.h"

#include "json.h"
#include "words.h"

#include "../sys.h"

#include <inttypes.h>
#include <stdio.h>

enum { NAMED_MAX = 5 }; /* dead processes that get a line */

/* How long ago the page was last written, in nanoseconds: by the wall clock, as the page may be
 * from before a reboot or from another machine, with another monotonic clock. */
static uint64_t written_ago(const struct process *p)
{
    return u64_less(sys_wall_ns(), page_written_at(&p->view));
}

static void print_process(const struct process *p)
{
    printf("process %" PRIu64 " (%s), %s ago, page %s\n", p->view.pid, p->comm,
           words_span(written_ago(p)), p->path);
}

static void print_dead(const struct pages *pages)
{
    size_t named = pages->dead_count <= NAMED_MAX ? pages->dead_count : NAMED_MAX;
    if (pages->dead_count > 0)
        printf("%zu killed or ended abruptly, at level critical or after refused requests:\n",
               pages->dead_count);
    for (size_t i = 0; i < named; i++) {
        fputs("  ", stdout);
        print_process(&pages->dead[i]);
    }
    if (pages->dead_count > named)
        printf("  and %zu more\n", pages->dead_count - named);
}

static void print_elsewhere(const struct pages *pages)
{
    if (pages->elsewhere_count == 0)
        return;
    printf("%zu stats %s of other pid namespaces (containers), where it cannot be told who runs; "
           "the one written last: ",
           pages->elsewhere_count, pages->elsewhere_count == 1 ? "page is" : "pages are");
    print_process(&pages->elsewhere);
}

void left_behind_print(const struct pages *pages)
{
    print_dead(pages);
    print_elsewhere(pages);
    if (pages->other_versions > 0)
        printf("%zu %s of another version of the library, which this command cannot read.\n",
               pages->other_versions, pages->other_versions == 1 ? "page is" : "pages are");
}

static json_t *process_left(const struct process *p)
{
    json_t *one = json_object();
    json_object_set_new(one, "pid", json_number(p->view.pid));
    json_object_set_new(one, "comm", json_text(p->comm));
    json_object_set_new(one, "seconds_ago", json_seconds(written_ago(p)));
    json_object_set_new(one, "page", json_text(p->path));
    return one;
}

void left_behind_json(const struct pages *pages, json_t *to)
{
    json_t *dead = json_array(), *elsewhere = json_object();
    for (size_t i = 0; i < pages->dead_count; i++)
        json_array_append_new(dead, process_left(&pages->dead[i]));
    json_object_set_new(elsewhere, "pages", json_number(pages->elsewhere_count));
    json_object_set_new(elsewhere, "last",
                        pages->elsewhere_count > 0 ? process_left(&pages->elsewhere) : json_null());
    json_object_set_new(to, "dead", dead);
    json_object_set_new(to, "elsewhere", elsewhere);
    json_object_set_new(to, "other_versions", json_number(pages->other_versions));
}

json_t *processes_json(const struct pages *pages, process_json_fn *one)
{
    json_t *all = json_object(), *list = json_array();
    for (size_t i = 0; i < pages->count; i++)
        json_array_append_new(list, one(&pages->list[i], pages->now_ns));
    json_object_set_new(all, "processes", list);
    left_behind_json(pages, all);
    return all;
}
