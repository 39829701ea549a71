/* The report as one page that needs nothing but itself, see report.h. */
#include "report.h"

#include "words.h"

#include <string.h>

static const char style[] =
    "body{font:16px/1.5 sans-serif;color:#222;background:#fff;max-width:60em;margin:2em auto;"
    "padding:0 1em}\n"
    "h1{font-size:1.35em;line-height:1.35;margin:0 0 .6em}\n"
    "h2{font-size:1.05em;margin:1.4em 0 .3em;border-bottom:1px solid #ccc}\n"
    ".end{border-left:6px solid #cc0000;padding-left:.8em}\n"
    ".calm{border-left:6px solid #3d85c6;padding-left:.8em}\n"
    "ul{margin:.2em 0 1em;padding-left:1.3em}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th{text-align:left;font-weight:normal;color:#555;width:15em;vertical-align:top}\n"
    "th,td{padding:.1em .6em .1em 0}\n"
    "figure{margin:1em 0;overflow-x:auto}svg{max-width:100%;height:auto}\n"
    "figcaption,.note{color:#555;font-size:.9em}\n"
    "pre{font-size:.8em;overflow-x:auto;background:#f5f5f5;padding:.8em}\n";

static void escape(FILE *to, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        switch (*p) {
        case '<':
            fputs("&lt;", to);
            break;
        case '>':
            fputs("&gt;", to);
            break;
        case '&':
            fputs("&amp;", to);
            break;
        case '"':
            fputs("&quot;", to);
            break;
        default:
            /* Any bytes may come here; the page is ASCII. */
            fputc((unsigned char)*p < 0x80 ? *p : '?', to);
        }
    }
}

struct page_out {
    FILE *to;
    bool open; /* a table is */
};

static void print_group(void *arg, const char *title)
{
    struct page_out *o = arg;
    fputs(o->open ? "</table>\n<h2>" : "<h2>", o->to);
    escape(o->to, title);
    fputs("</h2>\n<table>\n", o->to);
    o->open = true;
}

static void print_fact(void *arg, const char *label, const char *text)
{
    struct page_out *o = arg;
    fputs("<tr><th>", o->to);
    escape(o->to, label);
    fputs("</th><td>", o->to);
    escape(o->to, text);
    fputs("</td></tr>\n", o->to);
}

static void print_plots(const struct report_plots *plots, FILE *to)
{
    static const char *const captions[REPORT_PLOT_COUNT] = {
        [REPORT_PLOT_MEMORY] = "Memory that counts against the limit, and what it is made of.",
        [REPORT_PLOT_RECLAIM] = "What was given back: free pages purged, and what the program's "
                                "callbacks were asked for and gave.",
    };
    if (plots == NULL) {
        fputs("<p class=\"note\">There are no plots: gnuplot could not draw them.</p>\n", to);
        return;
    }
    for (unsigned i = 0; i < REPORT_PLOT_COUNT; i++)
        if (plots->svg[i] != NULL)
            fprintf(to, "<figure>\n%s\n<figcaption>%s</figcaption>\n</figure>\n", plots->svg[i],
                    captions[i]);
}

static void print_head(const struct flight *f, const struct verdict *v, FILE *to)
{
    char headline[REPORT_LINE_MAX], name[REPORT_NAME_MAX];
    struct advice advice;
    report_headline(f, v, headline, sizeof(headline));
    report_advise(f, v, &advice);
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
          to);
    report_name(f, name, sizeof(name));
    escape(to, name);
    fprintf(to, ": memory report</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
    bool calm = v->end == REPORT_GONE || v->end == REPORT_REPLACED ||
                (v->end == REPORT_UNTOLD && !v->at_limit) ||
                (v->end == REPORT_GOING_ON && f->from_page);
    fprintf(to, "<div class=\"%s\">\n<h1>", calm ? "calm" : "end");
    escape(to, headline);
    fprintf(to, "</h1>\n<p class=\"note\">%s %s%s", f->from_page ? "Last seen" : "Written",
            words_time(f->taken_at), f->cgroup_path[0] != '\0' ? ", in " : "");
    escape(to, f->cgroup_path);
    fputs("</p>\n<ul>\n", to);
    for (unsigned i = 0; i < advice.count; i++) {
        fputs("<li>", to);
        escape(to, advice.lines[i]);
        fputs("</li>\n", to);
    }
    fputs("</ul>\n</div>\n", to);
}

void report_print_html(const struct flight *f, const struct verdict *v,
                       const struct report_plots *plots, FILE *to)
{
    struct page_out o = {.to = to};
    const struct report_sink sink = {.group = print_group, .fact = print_fact, .arg = &o};
    print_head(f, v, to);
    print_plots(plots, to);
    report_facts(f, v, &sink);
    if (o.open)
        fputs("</table>\n", to);
    if (f->jemalloc != NULL && f->jemalloc[0] != '\0') {
        fputs("<h2>The heap by jemalloc's own statistics</h2>\n<details><summary>Show</summary>\n"
              "<pre>",
              to);
        escape(to, f->jemalloc);
        fputs("</pre>\n</details>\n", to);
    }
    fputs("<p class=\"note\">Made by plimsoll report " CMD_VERSION ".</p>\n</body>\n</html>\n", to);
}
