/* plimsoll status: the processes under Plimsoll, or all that is known of one. */
#include "clean.h"
#include "cmd.h"
#include "figures.h"
#include "json.h"
#include "left_behind.h"
#include "no_page.h"
#include "recommend.h"
#include "table.h"
#include "words.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum flag { FLAG_JSON, FLAG_RECOMMEND };

static const struct cmd_flag flags[] = {
    [FLAG_JSON] = {0, "json", NULL, "print JSON"},
    [FLAG_RECOMMEND] = {0, "recommend", NULL, "print the smallest safe memory limit instead"},
    {0},
};

static const char details[] =
    "Processes are found by their stats pages: those of your own user, or all for root.\n"
    "A process has one once its heap holds 2 MiB, unless PLIMSOLL_STATS is off; where it\n"
    "names a directory, set it for this command too, which then looks only there. That of\n"
    "process PID is found wherever it is.\n\n"
    "The exit code is 1 if there is no page of process PID.";

struct request {
    uint64_t pid; /* 0: all */
    bool json, recommend;
};

static json_t *limit_json(const struct process *p, uint64_t now_ns)
{
    struct recommendation r;
    (void)now_ns;
    recommend(p, &r);
    return recommend_json(p, &r);
}

static void print_limit(const struct process *p)
{
    struct recommendation r;
    recommend(p, &r);
    recommend_print(p, &r);
}

static void print_field(const struct page_view *view, enum page_field field, uint64_t now_ns)
{
    const struct page_field_info *info = &page_fields[field];
    uint64_t v = figure_value(view, field, now_ns);
    const char *text = field == PAGE_LEVEL        ? page_level_word(v)
                       : field == PAGE_SOURCE     ? source_name(v)
                       : info->unit == PAGE_BYTES ? figure_bytes(field, v)
                       : info->unit == PAGE_NS    ? words_span(v)
                                                  : words_number(v);
    printf("%-26s %12s  %s\n", info->name, text, info->help);
}

static void print_one(const struct process *p, uint64_t now_ns)
{
    char page[PATH_MAX];
    (void)snprintf(page, sizeof(page), "%s", p->path); /* its user may have chosen the name */
    clean_text(page);
    printf("%s, process %" PRIu64 " of user %" PRIu64 "\n", p->comm, p->view.pid, p->view.uid);
    printf("cgroup  %s\npage    %s\n", p->view.cgroup_path[0] != '\0' ? p->view.cgroup_path : "-",
           page);
    printf("\n%-26s %12s  How old these figures are.\n", "age_seconds",
           words_span(figure_age(&p->view, now_ns)));
    printf("%-26s %12s  From usage to the hard limit.\n", "headroom_bytes",
           figure_headroom_text(&p->view));
    for (unsigned i = 0; i < p->view.known; i++)
        if (page_fields[i].kind != PAGE_CLOCK)
            print_field(&p->view, (enum page_field)i, now_ns);
}

static void print_none(const struct pages *pages)
{
    puts(pages->elsewhere_count == 0 ? "No process with a stats page."
                                     : "No process of this pid namespace with a stats page.");
}

static void print_all(struct pages *pages)
{
    if (pages->count == 0)
        print_none(pages);
    else
        table_print(pages, COLUMN_HEADROOM, COLUMN_COUNT);
    left_behind_print(pages);
}

static void print(const struct request *r, struct pages *pages)
{
    const struct process *one = r->pid != 0 ? pages_find(pages, r->pid) : NULL;
    if (r->json) {
        process_json_fn *json = r->recommend ? limit_json : process_json;
        json_print(one != NULL ? json(one, pages->now_ns) : processes_json(pages, json));
    } else if (one != NULL && r->recommend) {
        print_limit(one);
    } else if (one != NULL) {
        print_one(one, pages->now_ns);
    } else if (r->recommend) {
        if (pages->count == 0)
            print_none(pages);
        for (size_t i = 0; i < pages->count; i++)
            print_limit(&pages->list[i]);
    } else {
        print_all(pages);
    }
}

static int run(const struct cmd_verb *self, int argc, char **argv)
{
    struct request request = {0};
    struct pages pages;
    const char *value;
    int rest, next;
    while ((next = cmd_next_flag(self, argc, argv, &value, &rest)) >= 0) {
        request.json |= next == FLAG_JSON;
        request.recommend |= next == FLAG_RECOMMEND;
    }
    if (next != CMD_END)
        return cmd_flag_exit(next);
    if (rest < argc && cmd_number(argv[rest], 1, INT32_MAX, &request.pid) < 0)
        return cmd_bad_value(self, "PID", argv[rest], "the number of a process");
    if (!stats_dir_is_readable(self->name))
        return EXIT_PROBLEM;
    pages_sweep();
    int rc = pages_read_for(request.pid, &pages);
    if (rc == 0 && request.pid != 0 && pages_find(&pages, request.pid) == NULL)
        rc = -ESRCH;
    if (rc == -ESRCH)
        no_page_say(self->name, request.pid, &pages);
    else if (rc < 0)
        cmd_say("status: cannot read the stats pages: %s", strerror(-rc));
    else
        print(&request, &pages);
    pages_free(&pages);
    return rc == 0 ? EXIT_OK : EXIT_PROBLEM;
}

const struct cmd_verb verb_status = {
    .name = "status",
    .synopsis = "[PID] [--json] [--recommend]",
    .summary = "show the processes under Plimsoll: heap, limits, level, what reclaiming cost",
    .details = details,
    .flags = flags,
    .words_most = 1,
    .run = run,
};
