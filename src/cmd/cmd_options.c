/* plimsoll options: the table of environment variables, and what they are set to here. */
#include "cmd.h"
#include "json.h"

#include "../options.h"

#include <string.h>
#include <unistd.h>

enum flag { FLAG_JSON };

static const struct cmd_flag flags[] = {
    [FLAG_JSON] = {0, "json", NULL, "print JSON"},
    {0},
};

/* The value in the environment; NULL if it is not set. */
static const char *value_set(const char *name)
{
    const char *value = NULL;
    for (char **env = environ; env != NULL && *env != NULL && value == NULL; env++)
        value = options_entry_value(*env, name);
    return value;
}

static bool is_valid(enum option_id id, const char *value)
{
    struct options scratch = {0};
    return options_set(id, value, &scratch) == 0;
}

/* What is wrong with the environment, one line each; NULL: nothing, counts only. */
struct complaints {
    json_t *list;
    unsigned count;
};

static void take_complaint(void *arg, const char *line)
{
    struct complaints *complaints = arg;
    complaints->count++;
    if (complaints->list != NULL)
        json_array_append_new(complaints->list, json_text(line));
    else
        cmd_say("%s", line);
}

static void print_json(void)
{
    struct complaints complaints = {.list = json_array()};
    struct options scratch;
    json_t *list = json_array();
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_info *info = &option_table[i];
        const char *value = value_set(info->name);
        json_t *row = json_object();
        json_object_set_new(row, "name", json_text(info->name));
        json_object_set_new(row, "default", json_text(info->fallback));
        json_object_set_new(row, "accepts", json_text(info->accepts));
        json_object_set_new(row, "help", json_text(info->help));
        json_object_set_new(row, "value", value != NULL ? json_text(value) : json_null());
        json_object_set_new(row, "valid",
                            json_boolean(value == NULL || is_valid((enum option_id)i, value)));
        json_array_append_new(list, row);
    }
    options_parse((const char *const *)environ, &scratch, take_complaint, &complaints);
    json_t *all = json_object();
    json_object_set_new(all, "options", list);
    json_object_set_new(all, "complaints", complaints.list);
    json_print(all);
}

static void print_text(void)
{
    struct complaints complaints = {0};
    struct options scratch;
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_info *info = &option_table[i];
        const char *value = value_set(info->name);
        printf("%s%s\n    %s\n    default: %s; accepts: %s\n", i > 0 ? "\n" : "", info->name,
               info->help, info->fallback, info->accepts);
        if (value != NULL)
            printf("    set to: %s%s\n", value,
                   is_valid((enum option_id)i, value) ? "" : " (not valid: the default is used)");
    }
    (void)fflush(stdout);
    options_parse((const char *const *)environ, &scratch, take_complaint, &complaints);
}

static int run(const struct cmd_verb *self, int argc, char **argv)
{
    const char *value;
    int next;
    bool json = false;
    while ((next = cmd_next_flag(self, argc, argv, &value, NULL)) >= 0)
        json = true;
    if (next != CMD_END)
        return cmd_flag_exit(next);
    if (json)
        print_json();
    else
        print_text();
    return EXIT_OK;
}

const struct cmd_verb verb_options = {
    .name = "options",
    .synopsis = "[--json]",
    .summary = "list the environment variables: defaults, values, and what is set here",
    .flags = flags,
    .run = run,
};
