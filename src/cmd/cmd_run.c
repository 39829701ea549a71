/* plimsoll run: a program with the library preloaded, in a cgroup of its own if limits are given.
 */
#include "cmd.h"
#include "preload.h"
#include "run_outcome.h"
#include "scope.h"
#include "supervise.h"

#include "../fmt.h"
#include "../options.h"
#include "../sys.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum flag { FLAG_MEMORY, FLAG_CPUS, FLAG_LIMIT, FLAG_LIBRARY, FLAG_JSON };

static const struct cmd_flag flags[] = {
    [FLAG_MEMORY] = {'m', "memory", "SIZE", "hard memory limit of a fresh cgroup, such as 256Mi"},
    [FLAG_CPUS] = {0, "cpus", "N", "CPU quota of a fresh cgroup, such as 1.5"},
    [FLAG_LIMIT] = {0, "limit", "LIMIT", "soft limit: sets PLIMSOLL_LIMIT, such as 80%"},
    [FLAG_LIBRARY] = {0, "library", "PATH", "the libplimsoll.so to preload"},
    [FLAG_JSON] = {0, "json", NULL, "tell how it ended as JSON on standard error"},
    {0},
};

static const char details[] =
    "SIZE is bytes, or a number with K M G T (1000^n) or Ki Mi Gi Ti (1024^n):\n"
    "256M is 256000000, 256Mi is 268435456.\n\n"
    "With --memory or --cpus the program runs in a fresh cgroup under that of the caller,\n"
    "which needs the right to create one. When the program ends, whatever it left running\n"
    "in there is killed and the cgroup is removed. Without them no cgroup is made.\n"
    "With --json an object tells at the end how long it ran, its peak of memory, and\n"
    "how many processes the kernel killed.\n\n"
    "The exit code is that of CMD, 128+N if signal N ended it, 125 if run itself failed,\n"
    "126 if CMD cannot be executed, 127 if it was not found.";

/* No program starts in less, and a size without its suffix is a slip. */
#define MEMORY_MIN MiB
static const double cpus_min = 0.01; /* the kernel's smallest quota, 1 ms of each 100 */
static const double cpus_max = 4096;

struct run_args {
    struct scope_limits limits;
    const char *limit, *library;
    bool json;
    char **command;
};

static int take_flag(const struct cmd_verb *self, enum flag flag, const char *value,
                     struct run_args *args)
{
    struct options scratch;
    char *end;
    switch (flag) {
    case FLAG_MEMORY:
        if (fmt_parse_size(value, &args->limits.memory) < 0 || args->limits.memory < MEMORY_MIN ||
            args->limits.memory > INT64_MAX)
            return cmd_bad_value(self, "--memory", value,
                                 "a size of at least 1Mi, such as 256Mi or 256M");
        break;
    case FLAG_CPUS: {
        double cpus = strtod(value, &end);
        if (value[strspn(value, "0123456789.")] != '\0' || end == value || *end != '\0' ||
            !(cpus >= cpus_min && cpus <= cpus_max))
            return cmd_bad_value(self, "--cpus", value, "a number from 0.01 to 4096, such as 1.5");
        args->limits.millicpus = (uint64_t)(cpus * 1000 + 0.5);
        break;
    }
    case FLAG_LIMIT:
        if (options_set(OPTION_LIMIT, value, &scratch) < 0)
            return cmd_bad_value(self, "--limit", value, option_table[OPTION_LIMIT].accepts);
        args->limit = value;
        break;
    case FLAG_LIBRARY:
        args->library = value;
        break;
    case FLAG_JSON:
        args->json = true;
        break;
    }
    return EXIT_OK;
}

static int cannot_find_library(const char *given, int rc, const char *path)
{
    if (rc == -EINVAL)
        cmd_say("run: cannot preload \"%s\": its path has a blank or a colon in it", path);
    else if (rc == -ELIBBAD)
        cmd_say("run: cannot preload \"%s\": it is no shared library of this machine", path);
    else if (given != NULL)
        cmd_say("run: cannot read the library \"%s\": %s", given, strerror(-rc));
    else
        cmd_say("run: cannot find libplimsoll.so beside this command or in %s; "
                "give its path with --library",
                CMD_LIBDIR);
    return EXIT_RUN_FAILED;
}

static int exec_failed(const char *command, int rc)
{
    cmd_say("run: cannot execute \"%s\": %s", command, strerror(-rc));
    return rc == -ENOENT || rc == -ENOTDIR ? EXIT_RUN_NOT_FOUND : EXIT_RUN_CANNOT;
}

/* What to do where we have no right to make cgroups: how to have systemd set the limits, or that
 * whatever made this container can. */
static void say_who_else(const struct scope *scope, const struct scope_limits *limits)
{
    bool systemd = access("/run/systemd/system", F_OK) == 0; /* as sd_booted(3) has it */
    char memory[48] = "", cpus[48] = "";
    if (limits->memory != UNLIMITED)
        (void)snprintf(memory, sizeof(memory), "%s%" PRIu64,
                       systemd ? " -p MemoryMax=" : " --memory ", limits->memory);
    uint64_t percent = u64_max(limits->millicpus / 10, 1);
    if (limits->millicpus != UNLIMITED && systemd)
        (void)snprintf(cpus, sizeof(cpus), " -p CPUQuota=%" PRIu64 "%%", percent);
    else if (limits->millicpus != UNLIMITED)
        (void)snprintf(cpus, sizeof(cpus), " --cpus %" PRIu64 ".%02" PRIu64, percent / 100,
                       percent % 100);
    if (systemd)
        cmd_say("run: %s; try: systemd-run %s--scope%s%s plimsoll run -- CMD", scope->failure,
                geteuid() != 0 ? "--user " : "", memory, cpus);
    else
        cmd_say("run: %s; set the limits from outside, such as by docker run%s%s", scope->failure,
                memory, cpus);
}

static int scope_failed(const struct scope *scope, const struct scope_limits *limits, int rc)
{
    if (rc == -EACCES || rc == -EPERM || rc == -EROFS || rc == -EBUSY || rc == -ENOENT)
        say_who_else(scope, limits);
    else
        cmd_say("run: %s", scope->failure);
    return EXIT_RUN_FAILED;
}

/* Runs the program in the scope, if there is one, until it has ended: EXIT_OK, and how it ended in
 * *ret. Otherwise the exit code of a program that did not start. */
static int run_to_end(struct scope *scope, const struct run_args *args, char **env,
                      const sigset_t *mask, struct run_outcome *ret)
{
    struct child child;
    int rc = child_start(&child, args->command, env, mask);
    if (rc < 0) {
        cmd_say("run: cannot start a process: %s", strerror(-rc));
        return EXIT_RUN_FAILED;
    }
    rc = scope != NULL ? scope_attach(scope, child.pid) : 0;
    if (rc < 0) {
        child_abandon(&child);
        return scope_failed(scope, &args->limits, rc);
    }
    uint64_t began_ns = sys_now_ns();
    rc = child_release(&child);
    if (rc < 0)
        return exec_failed(args->command[0], rc);
    ret->status = child_wait(&child);
    ret->ran_ns = sys_now_ns() - began_ns;
    return EXIT_OK;
}

static bool is_limited(const struct run_args *args)
{
    return args->limits.memory != UNLIMITED || args->limits.millicpus != UNLIMITED;
}

static int run_supervised(const struct run_args *args, char **env)
{
    static struct scope storage; /* large */
    struct scope *scope = is_limited(args) ? &storage : NULL;
    struct run_outcome outcome = {
        .command = args->command[0], .limits = args->limits, .toll = {.peak_bytes = UNLIMITED}};
    sigset_t before;
    supervise_begin(&before);
    int rc = scope != NULL ? scope_create(&args->limits, scope) : 0;
    if (rc < 0)
        return scope_failed(scope, &args->limits, rc);
    int code = run_to_end(scope, args, env, &before, &outcome);
    if (scope != NULL) {
        scope_read_toll(scope, &outcome.toll);
        if (scope_remove(scope) < 0)
            cmd_say("run: %s", scope->failure);
    }
    if (code != EXIT_OK)
        return code;
    if (args->json)
        run_outcome_json(&outcome);
    else
        run_outcome_say(&outcome);
    return run_outcome_exit_code(&outcome);
}

static int run(const struct cmd_verb *self, int argc, char **argv)
{
    struct run_args args = {.limits = {.memory = UNLIMITED, .millicpus = UNLIMITED}};
    char library[PATH_MAX];
    const char *value;
    int rest, next;
    while ((next = cmd_next_flag(self, argc, argv, &value, &rest)) >= 0) {
        int code = take_flag(self, (enum flag)next, value, &args);
        if (code != EXIT_OK)
            return code;
    }
    if (next != CMD_END)
        return cmd_flag_exit(next);
    if (rest >= argc) {
        cmd_say("%s: no command given, expected: plimsoll run %s", self->name, self->synopsis);
        return EXIT_USAGE;
    }
    args.command = argv + rest;
    int rc = preload_find(args.library, library, sizeof(library));
    if (rc < 0)
        return cannot_find_library(args.library, rc, library);
    char **env = preload_environment(environ, library, args.limit);
    if (env == NULL) {
        cmd_say("run: no memory for the environment");
        return EXIT_RUN_FAILED;
    }
    if (is_limited(&args) || args.json)
        return run_supervised(&args, env);
    (void)execvpe(args.command[0], args.command, env);
    return exec_failed(args.command[0], -errno);
}

const struct cmd_verb verb_run = {
    .name = "run",
    .synopsis =
        "[-m SIZE] [--cpus N] [--limit LIMIT] [--library PATH] [--json] [--] CMD [ARGUMENT...]",
    .summary = "run a program with the library preloaded, in a fresh cgroup with limits",
    .details = details,
    .flags = flags,
    .command_follows = true,
    .run = run,
};
