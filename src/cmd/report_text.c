/* The report as text for a terminal, see report.h. */
#include "report.h"

#include "words.h"

#include <string.h>

enum { LABEL_WIDTH = 26, TEXT_WIDTH = 100 };

static void print_group(void *arg, const char *title)
{
    fprintf(arg, "\n%s\n", title);
}

static void print_fact(void *arg, const char *label, const char *text)
{
    fprintf(arg, "  %-*s %s\n", LABEL_WIDTH, label, text);
}

/* A paragraph, broken between words. */
static void print_wrapped(FILE *to, const char *first, const char *more, const char *text)
{
    size_t column = strlen(first);
    const char *gap = "";
    fputs(first, to);
    for (const char *at = text; *at != '\0';) {
        size_t word = strcspn(at, " ");
        if (column + strlen(gap) + word > TEXT_WIDTH && column > strlen(more)) {
            fprintf(to, "\n%s", more);
            column = strlen(more);
            gap = "";
        }
        fprintf(to, "%s%.*s", gap, (int)word, at);
        column += strlen(gap) + word;
        gap = " ";
        at += word + (at[word] == ' ');
    }
    fputc('\n', to);
}

void report_print_text(const struct flight *f, const struct verdict *v, FILE *to)
{
    const struct report_sink sink = {.group = print_group, .fact = print_fact, .arg = to};
    char headline[REPORT_LINE_MAX];
    struct advice advice;
    report_headline(f, v, headline, sizeof(headline));
    report_advise(f, v, &advice);
    print_wrapped(to, "", "", headline);
    fprintf(to, "%s %s%s%s\n", f->from_page ? "Last seen" : "Written", words_time(f->taken_at),
            f->cgroup_path[0] != '\0' ? ", in " : "", f->cgroup_path);
    for (unsigned i = 0; i < advice.count; i++)
        print_wrapped(to, "* ", "  ", advice.lines[i]);
    report_facts(f, v, &sink);
    if (f->profile[0] != '\0')
        fprintf(to, "\nHeap profile beside the record: %s\n", f->profile);
}
