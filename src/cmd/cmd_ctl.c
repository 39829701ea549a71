/* plimsoll ctl: acts on a running process. */
#include "cmd.h"
#include "json.h"
#include "mailbox.h"
#include "no_page.h"
#include "words.h"

#include "../fmt.h"
#include "../options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum flag { FLAG_JSON };

static const struct cmd_flag flags[] = {
    [FLAG_JSON] = {0, "json", NULL, "print JSON"},
    {0},
};

static const char details[] =
    "  purge            give the heap's free pages back to the kernel\n"
    "  limit BYTES      another soft limit, from 1Mi on, until it ends or gets the next; more\n"
    "                   than 98 % of the hard limit counts as that; auto: what PLIMSOLL_LIMIT\n"
    "                   says\n"
    "  profile FILE     write a heap profile to FILE, which must not be there; for this the\n"
    "                   process must have been started with PLIMSOLL_HEAP_PROFILE\n\n"
    "The process's watcher thread does it: one that is stopped or has none cannot. Its own\n"
    "user and root may ask. A process has a stats page, by which it is asked, once its heap\n"
    "holds 2 MiB, unless PLIMSOLL_STATS is off.\n\n"
    "The exit code is 1 if the process did not do it.";

enum {
    TIMEOUT_MS = 5000,
    PROFILE_TIMEOUT_MS = 30000,
    NO_WATCHER_TIMEOUT_MS = 2000, /* a thread that allocates may start it */
};

/* What to ask for, as said on the command line. */
struct order {
    uint64_t pid;
    const char *verb, *value;
    struct mailbox_request request;
};

/* FILE as an absolute path: the process may be in another directory. */
static int take_path(const struct cmd_verb *self, const char *value, char to[PAGE_PATH_MAX])
{
    char here[PATH_MAX] = "";
    if (value[0] != '/' && getcwd(here, sizeof(here)) == NULL) {
        cmd_say("ctl: the current directory is not known: %s", strerror(errno));
        return EXIT_PROBLEM;
    }
    int len = snprintf(to, PAGE_PATH_MAX, "%s%s%s", here, value[0] == '/' ? "" : "/", value);
    if (value[0] == '\0' || len >= PAGE_PATH_MAX)
        return cmd_bad_value(self, "profile", value, "a path of at most 255 bytes");
    return EXIT_OK;
}

static int take_limit(const struct cmd_verb *self, const char *value, uint64_t *ret)
{
    *ret = 0;
    if (strcmp(value, "auto") == 0)
        return EXIT_OK;
    if (fmt_parse_size(value, ret) < 0 || *ret < LIMIT_BYTES_MIN || *ret > INT64_MAX)
        return cmd_bad_value(self, "limit", value, "bytes from 1Mi on, such as 200Mi, or auto");
    return EXIT_OK;
}

static int take_order(const struct cmd_verb *self, int count, char **words, struct order *ret)
{
    struct mailbox_request *r = &ret->request;
    if (count < 2) {
        cmd_say("ctl: too few arguments, expected: plimsoll ctl %s", self->synopsis);
        return EXIT_USAGE;
    }
    if (cmd_number(words[0], 1, INT_MAX, &ret->pid) < 0)
        return cmd_bad_value(self, "PID", words[0], "the number of a process");
    ret->verb = words[1];
    ret->value = count > 2 ? words[2] : NULL;
    r->timeout_ms = TIMEOUT_MS;
    if (strcmp(ret->verb, "purge") == 0) {
        r->command = PAGE_COMMAND_PURGE;
        return count > 2 ? cmd_bad_argument(self, words[2]) : EXIT_OK;
    }
    bool limit = strcmp(ret->verb, "limit") == 0;
    if (!limit && strcmp(ret->verb, "profile") != 0)
        return cmd_bad_value(self, "what to do", ret->verb, "purge, limit or profile");
    if (ret->value == NULL) {
        cmd_say("ctl: %s needs a value, expected: plimsoll ctl %s", ret->verb, self->synopsis);
        return EXIT_USAGE;
    }
    if (limit) {
        r->command = PAGE_COMMAND_LIMIT;
        return take_limit(self, ret->value, &r->argument);
    }
    r->command = PAGE_COMMAND_PROFILE;
    r->timeout_ms = PROFILE_TIMEOUT_MS;
    return take_path(self, ret->value, r->path);
}

/* No answer came. */
static void say_unanswered(const struct process *p, const struct order *order, int rc)
{
    unsigned long long pid = order->pid;
    switch (-rc) {
    case ESRCH:
        cmd_say("ctl: process %llu has ended", pid);
        break;
    case EALREADY:
        cmd_say("ctl: process %llu is stopped and cannot answer; kill -CONT %llu continues it", pid,
                pid);
        break;
    case EBUSY:
        cmd_say("ctl: process %llu is being asked by another plimsoll ctl", pid);
        break;
    case ETIMEDOUT:
        if (p->view.values[PAGE_WATCHER] == 0)
            cmd_say("ctl: process %llu has no watcher thread to do it: PLIMSOLL_THREAD is off, or "
                    "its heap is too small to need one yet (PLIMSOLL_THREAD=on)",
                    pid);
        else
            cmd_say("ctl: process %llu did not answer within %u s; it is no longer asked to", pid,
                    order->request.timeout_ms / 1000);
        break;
    default:
        cmd_say("ctl: cannot open the stats page %s: %s", p->path, strerror(-rc));
    }
}

static void say_failed(const struct order *order, int64_t result)
{
    if (result == -ENOTSUP)
        cmd_say("ctl: process %llu takes no heap profiles: it must be started with "
                "PLIMSOLL_HEAP_PROFILE=512Ki or the like",
                (unsigned long long)order->pid);
    else
        cmd_say("ctl: process %llu could not do it (%s%s%s): %s", (unsigned long long)order->pid,
                order->verb, order->value != NULL ? " " : "",
                order->value != NULL ? order->value : "",
                result == -EIO                 ? "the file could not be written"
                : result < 0 && result > -4096 ? strerror((int)-result)
                                               : "it does not say why");
}

/* Earlier versions of the library answer 0. */
static uint64_t soft_in_force(const struct order *order, int64_t result)
{
    return result > 0 ? (uint64_t)result : order->request.argument;
}

static void print_done(const struct order *order, int64_t result, bool json)
{
    if (json) {
        json_t *o = json_object();
        json_object_set_new(o, "pid", json_number(order->pid));
        json_object_set_new(o, "command", json_text(order->verb));
        if (order->request.command == PAGE_COMMAND_PURGE)
            json_object_set_new(o, "purged_bytes", json_number((uint64_t)result));
        if (order->request.command == PAGE_COMMAND_LIMIT)
            json_object_set_new(o, "soft_limit_bytes",
                                order->request.argument == 0
                                    ? json_string("auto")
                                    : json_number(soft_in_force(order, result)));
        if (order->request.command == PAGE_COMMAND_PROFILE)
            json_object_set_new(o, "path", json_text(order->request.path));
        json_print(o);
    } else if (order->request.command == PAGE_COMMAND_PURGE) {
        printf("gave back %s\n", words_bytes((uint64_t)result));
    } else if (order->request.command == PAGE_COMMAND_PROFILE) {
        printf("wrote %s; read it with: jeprof --text /proc/%llu/exe %s\n", order->request.path,
               (unsigned long long)order->pid, order->request.path);
    } else if (order->request.argument == 0) {
        printf("the soft limit is again what PLIMSOLL_LIMIT says\n");
    } else {
        uint64_t soft = soft_in_force(order, result);
        printf("the soft limit is now %s%s\n", words_bytes(soft),
               soft < order->request.argument ? ", 98 % of the hard limit: more does not count"
                                              : "");
    }
}

static int carry_out(struct order *order, bool json)
{
    struct pages pages;
    int64_t result = 0;
    int code = EXIT_PROBLEM;
    if (pages_read_for(order->pid, &pages) < 0) {
        cmd_say("ctl: out of memory");
        return EXIT_PROBLEM;
    }
    const struct process *p = pages_find(&pages, order->pid);
    if (p != NULL && p->view.values[PAGE_WATCHER] == 0)
        order->request.timeout_ms = NO_WATCHER_TIMEOUT_MS;
    int rc = p == NULL ? 0 : mailbox_ask(p, &order->request, &result);
    if (p == NULL) {
        no_page_say("ctl", order->pid, &pages);
    } else if (rc < 0) {
        say_unanswered(p, order, rc);
    } else if (result < 0) {
        say_failed(order, result);
    } else {
        print_done(order, result, json);
        code = EXIT_OK;
    }
    pages_free(&pages);
    return code;
}

static int run(const struct cmd_verb *self, int argc, char **argv)
{
    struct order order = {0};
    bool json = false;
    const char *value;
    int rest, next;
    while ((next = cmd_next_flag(self, argc, argv, &value, &rest)) >= 0)
        json = true;
    if (next != CMD_END)
        return cmd_flag_exit(next);
    int code = take_order(self, argc - rest, argv + rest, &order);
    if (code != EXIT_OK)
        return code;
    return stats_dir_is_readable(self->name) ? carry_out(&order, json) : EXIT_PROBLEM;
}

const struct cmd_verb verb_ctl = {
    .name = "ctl",
    .synopsis = "[--json] PID purge | limit BYTES | profile FILE",
    .summary = "have a running process purge, change its soft limit, or write a heap profile",
    .details = details,
    .flags = flags,
    .words_most = 3,
    .run = run,
};
