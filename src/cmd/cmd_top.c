/* plimsoll top: the table of processes, again and again. */
#include "cmd.h"
#include "figures.h"
#include "json.h"
#include "left_behind.h"
#include "no_page.h"
#include "table.h"
#include "top_screen.h"

#include <string.h>
#include <unistd.h>

enum flag { FLAG_SORT, FLAG_INTERVAL, FLAG_JSON };

static const struct cmd_flag flags[] = {
    [FLAG_SORT] = {0, "sort", "COLUMN", "sort by this column; headroom if not given"},
    [FLAG_INTERVAL] = {0, "interval", "MS", "look every MS milliseconds, 100 to 60000; else 1000"},
    [FLAG_JSON] = {0, "json", NULL, "print JSON once, as plimsoll status does"},
    {0},
};

static const char details[] =
    "Columns to sort by: pid, command, level, usage, headroom, heap, dirty, cpu, waited, age.\n"
    "Where stdin or stdout is no terminal the table is printed once.";

static int column_by_word(const char *word)
{
    for (int c = 0; c < COLUMN_COUNT; c++)
        if (columns[c].word != NULL && strcmp(columns[c].word, word) == 0)
            return c;
    return -1;
}

/* Prints once what status would; the table in the order asked for. */
static int print_once(enum column by, bool json)
{
    struct pages pages;
    int rc = pages_read(false, &pages);
    if (rc < 0) {
        cmd_say("top: cannot read the stats pages: %s", strerror(-rc));
        return EXIT_PROBLEM;
    }
    if (json)
        json_print(processes_json(&pages, process_json));
    else
        table_print(&pages, by, by);
    pages_free(&pages);
    return EXIT_OK;
}

static int run(const struct cmd_verb *self, int argc, char **argv)
{
    const char *value;
    int next, by = COLUMN_HEADROOM;
    uint64_t interval_ms = 1000;
    bool json = false;
    while ((next = cmd_next_flag(self, argc, argv, &value, NULL)) >= 0) {
        if (next == FLAG_JSON)
            json = true;
        else if (next == FLAG_SORT && (by = column_by_word(value)) < 0)
            return cmd_bad_value(self, "--sort", value, "a column: plimsoll top --help");
        else if (next == FLAG_INTERVAL && cmd_number(value, 100, 60000, &interval_ms) < 0)
            return cmd_bad_value(self, "--interval", value, "milliseconds from 100 to 60000");
    }
    if (next != CMD_END)
        return cmd_flag_exit(next);
    if (!stats_dir_is_readable(self->name))
        return EXIT_PROBLEM;
    pages_sweep();
    if (json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
        return print_once((enum column)by, json);
    return top_screen((enum column)by, (int)interval_ms);
}

const struct cmd_verb verb_top = {
    .name = "top",
    .synopsis = "[--sort COLUMN] [--interval MS] [--json]",
    .summary = "watch the processes under Plimsoll",
    .details = details,
    .flags = flags,
    .run = run,
};
