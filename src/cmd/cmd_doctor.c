/* plimsoll doctor: what Plimsoll sees of a process's limits, and what looks wrong. */
#include "cmd.h"
#include "doctor.h"
#include "no_page.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum flag { FLAG_ROOT, FLAG_PID, FLAG_AFFINITY, FLAG_JSON };

static const struct cmd_flag flags[] = {
    [FLAG_ROOT] = {0, "root", "DIR", "read the captured tree in DIR (DIR/proc, DIR/sys)"},
    [FLAG_PID] = {0, "pid", "N", "look at process N; with --root, its number in the tree"},
    [FLAG_AFFINITY] = {0, "affinity", "N", "take N as the number of CPUs it may run on"},
    [FLAG_JSON] = {0, "json", NULL, "print JSON"},
    {0},
};

static const char details[] =
    "A process is looked at from here: also limits that it cannot see itself are shown.\n\n"
    "The exit code is 0 if Plimsoll works here, with or without warnings, and 1 if it does\n"
    "not: the library cannot be loaded, a PLIMSOLL variable is bad or turns it off,\n"
    "PLIMSOLL_LIMIT is not below the limit, PLIMSOLL_RECORD cannot be written to, another\n"
    "malloc stands in front of it in LD_PRELOAD, process N does not have the library though\n"
    "LD_PRELOAD names it, or there is no process N.";

static int take_number(const struct cmd_verb *self, const char *name, const char *value, int *ret)
{
    uint64_t v;
    if (cmd_number(value, 1, INT_MAX, &v) < 0)
        return cmd_bad_value(self, name, value, "a whole number of at least 1");
    *ret = (int)v;
    return EXIT_OK;
}

static int take_root(const struct cmd_verb *self, const char *value, const char **ret)
{
    struct stat st;
    if (stat(value, &st) < 0 || !S_ISDIR(st.st_mode) || strlen(value) >= PATH_MAX / 2)
        return cmd_bad_value(self, "--root", value, "a directory");
    *ret = strcmp(value, "/") == 0 ? "" : value;
    return EXIT_OK;
}

static int take_flag(const struct cmd_verb *self, enum flag flag, const char *value,
                     struct doctor_request *request, bool *json)
{
    switch (flag) {
    case FLAG_ROOT:
        return take_root(self, value, &request->root);
    case FLAG_PID:
        return take_number(self, "--pid", value, &request->pid);
    case FLAG_AFFINITY:
        return take_number(self, "--affinity", value, &request->affinity);
    case FLAG_JSON:
        *json = true;
        break;
    }
    return EXIT_OK;
}

static int exit_code(const struct diagnosis *diagnosis)
{
    for (unsigned i = 0; i < diagnosis->finding_count; i++)
        if (diagnosis->findings[i].weight == DOCTOR_PROBLEM)
            return EXIT_PROBLEM;
    return EXIT_OK;
}

static bool has_ended(const struct doctor_request *r)
{
    return doctor_has_process(r) && process_has_ended((uint64_t)r->pid);
}

static int say_ended(int pid)
{
    struct pages pages;
    (void)pages_read(false, &pages); /* none, where they cannot be read */
    no_page_say("doctor", (uint64_t)pid, &pages);
    pages_free(&pages);
    return EXIT_PROBLEM;
}

static int run(const struct cmd_verb *self, int argc, char **argv)
{
    static struct diagnosis diagnosis; /* large */
    struct doctor_request request = {.root = ""};
    const char *value;
    bool json = false;
    int next;
    while ((next = cmd_next_flag(self, argc, argv, &value, NULL)) >= 0) {
        int code = take_flag(self, (enum flag)next, value, &request, &json);
        if (code != EXIT_OK)
            return code;
    }
    if (next != CMD_END)
        return cmd_flag_exit(next);

    if (has_ended(&request))
        return say_ended(request.pid);
    int rc = doctor_gather(&request, &diagnosis);
    if (rc < 0) {
        cmd_say("doctor: cannot look at process %d: %s", request.pid, strerror(-rc));
        return EXIT_PROBLEM;
    }
    doctor_gather_page(&diagnosis);
    if (has_ended(&request))
        return say_ended(request.pid); /* it ended meanwhile: what was found is incomplete */
    doctor_judge(&diagnosis);
    if (json)
        doctor_print_json(&diagnosis);
    else
        doctor_print_text(&diagnosis);
    return exit_code(&diagnosis);
}

const struct cmd_verb verb_doctor = {
    .name = "doctor",
    .synopsis = "[--root DIR] [--pid N] [--affinity N] [--json]",
    .summary = "show the limits that were detected, level by level, and what looks wrong",
    .details = details,
    .flags = flags,
    .run = run,
};
