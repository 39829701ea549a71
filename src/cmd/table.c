/* The table of processes, see table.h. */
#include "table.h"

#include "figures.h"
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct column_info columns[COLUMN_COUNT] = {
    [COLUMN_PID] = {"PID", 7, 'p', "pid"},
    [COLUMN_COMM] = {"COMMAND", -15, 'n', "command"},
    [COLUMN_LEVEL] = {"LEVEL", -8, 'l', "level"},
    [COLUMN_USAGE] = {"USAGE", 10, 'u', "usage"},
    [COLUMN_SOFT] = {"SOFT", 10, 0, NULL},
    [COLUMN_HARD] = {"HARD", 10, 0, NULL},
    [COLUMN_HEADROOM] = {"HEADROOM", 10, 'h', "headroom"},
    [COLUMN_HEAP] = {"HEAP", 10, 'c', "heap"},
    [COLUMN_DIRTY] = {"DIRTY", 10, 'd', "dirty"},
    [COLUMN_PURGES] = {"PURGES", 8, 0, NULL},
    [COLUMN_CALLS] = {"CALLS", 7, 0, NULL},
    [COLUMN_ASKED] = {"ASKED", 10, 0, NULL},
    [COLUMN_FREED] = {"FREED", 10, 0, NULL},
    [COLUMN_CPU] = {"CPU", 8, 'x', "cpu"},
    [COLUMN_WAITED] = {"WAITED", 8, 'w', "waited"},
    [COLUMN_MEETS] = {"MEETS", -5, 0, NULL},
    [COLUMN_AGE] = {"AGE", 7, 'a', "age"},
};

static const char *cell(const struct process *p, uint64_t now_ns, enum column column)
{
    const struct page_view *view = &p->view;
    static const enum page_field bytes[COLUMN_COUNT] = {
        [COLUMN_USAGE] = PAGE_USAGE,
        [COLUMN_SOFT] = PAGE_SOFT,
        [COLUMN_HARD] = PAGE_HARD,
        [COLUMN_HEAP] = PAGE_COMMITTED,
        [COLUMN_DIRTY] = PAGE_DIRTY,
        [COLUMN_ASKED] = PAGE_RECLAIMER_ASKED,
        [COLUMN_FREED] = PAGE_RECLAIMER_FREED,
    };
    switch (column) {
    case COLUMN_PID:
        return words_number(view->pid);
    case COLUMN_COMM:
        return p->comm;
    case COLUMN_LEVEL:
        return page_level_word(view->values[PAGE_LEVEL]);
    case COLUMN_HEADROOM:
        return figure_headroom_text(view);
    case COLUMN_PURGES:
        return words_number(view->values[PAGE_PURGES]);
    case COLUMN_CALLS:
        return words_number(view->values[PAGE_RECLAIMER_CALLS]);
    case COLUMN_CPU:
        return words_span(view->values[PAGE_RECLAIM_CPU]);
    case COLUMN_WAITED:
        return words_span(view->values[PAGE_THROTTLE]);
    case COLUMN_MEETS:
        return view->values[PAGE_CANNOT_MEET] != 0 ? "NO" : "yes";
    case COLUMN_AGE:
        return words_span(figure_age(view, now_ns));
    default:
        return figure_bytes(bytes[column], view->values[bytes[column]]);
    }
}

/* Adds a cell to the line; what is too long for its column pushes the rest aside. */
static void add(char line[TABLE_WIDTH], enum column column, enum column from, const char *text)
{
    size_t len = strlen(line);
    (void)snprintf(line + len, TABLE_WIDTH - len, "%s%*s", column > from ? " " : "",
                   columns[column].width, text);
}

static void finish(char line[TABLE_WIDTH], int width)
{
    if (width >= 0 && strlen(line) > (size_t)width)
        line[width] = '\0';
    for (size_t len = strlen(line); len > 0 && line[len - 1] == ' ';)
        line[--len] = '\0';
}

void table_titles(enum column from, enum column sorted, int width, char line[TABLE_WIDTH])
{
    line[0] = '\0';
    for (enum column c = from; c < COLUMN_COUNT; c++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "%s%s", c == sorted ? "*" : "", columns[c].title);
        add(line, c, from, text);
    }
    finish(line, width);
}

void table_row(const struct process *process, uint64_t now_ns, enum column from, int width,
               char line[TABLE_WIDTH])
{
    line[0] = '\0';
    for (enum column c = from; c < COLUMN_COUNT; c++)
        add(line, c, from, cell(process, now_ns, c));
    finish(line, width);
}

/* For qsort, which passes no argument on; top is single-threaded. */
static struct {
    enum column by;
    bool reverse;
} order;

/* Rows with a smaller key come first. */
static uint64_t sort_key(const struct page_view *view)
{
    uint64_t headroom;
    switch (order.by) {
    case COLUMN_LEVEL:
        return UINT64_MAX - view->values[PAGE_LEVEL];
    case COLUMN_USAGE:
        return UINT64_MAX - view->values[PAGE_USAGE];
    case COLUMN_HEADROOM:
        (void)figure_headroom(view, &headroom);
        return headroom;
    case COLUMN_HEAP:
        return UINT64_MAX - view->values[PAGE_COMMITTED];
    case COLUMN_DIRTY:
        return UINT64_MAX - view->values[PAGE_DIRTY];
    case COLUMN_CPU:
        return UINT64_MAX - view->values[PAGE_RECLAIM_CPU];
    case COLUMN_WAITED:
        return UINT64_MAX - view->values[PAGE_THROTTLE];
    case COLUMN_AGE:
        return UINT64_MAX - view->values[PAGE_UPDATED];
    default:
        return view->pid;
    }
}

static int compare(const void *a, const void *b)
{
    const struct process *x = a, *y = b;
    uint64_t kx = sort_key(&x->view), ky = sort_key(&y->view);
    int c = order.by == COLUMN_COMM ? strcmp(x->comm, y->comm) : (kx > ky) - (kx < ky);
    if (c == 0)
        return (x->view.pid > y->view.pid) - (x->view.pid < y->view.pid);
    return order.reverse ? -c : c;
}

void table_sort(struct pages *pages, enum column by, bool reverse)
{
    order.by = by;
    order.reverse = reverse;
    if (pages->count > 0)
        qsort(pages->list, pages->count, sizeof(*pages->list), compare);
}

void table_print(struct pages *pages, enum column by, enum column sorted)
{
    char line[TABLE_WIDTH];
    table_sort(pages, by, false);
    table_titles(COLUMN_PID, sorted, -1, line);
    puts(line);
    for (size_t i = 0; i < pages->count; i++) {
        table_row(&pages->list[i], pages->now_ns, COLUMN_PID, -1, line);
        puts(line);
    }
}
