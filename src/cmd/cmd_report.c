/* plimsoll report: the last minutes of a process, for a person. */
#include "cmd.h"
#include "json.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum flag { FLAG_TEXT, FLAG_HTML, FLAG_JSON };

static const struct cmd_flag flags[] = {
    [FLAG_TEXT] = {0, "text", NULL, "print text (the default, unless another form is asked for)"},
    [FLAG_HTML] = {0, "html", "FILE", "write a page with plots to FILE; - prints it"},
    [FLAG_JSON] = {0, "json", NULL, "print JSON"},
    {0},
};

static const char details[] =
    "FILE is a flight record (see PLIMSOLL_RECORD) or a stats page, also one that a process\n"
    "left behind when it was killed (see PLIMSOLL_STATS); - reads standard input. Plots take\n"
    "gnuplot; without it the page has none.\n\n"
    "The exit code is 0 if there was something to report, and 1 if FILE cannot be read or is\n"
    "neither of the two.";

struct wish {
    bool text, json;
    const char *html; /* NULL: no page */
};

/* Files that must not be overwritten: the report's input, and any other record or page. A page that
 * is being made is recognized only by its name. */
static bool is_evidence(const char *path, const char *input)
{
    struct stat to, from;
    struct page_name name;
    char begin[FLIGHT_BEGIN];
    const char *slash = strrchr(path, '/');
    if (stat(path, &to) < 0 || !S_ISREG(to.st_mode))
        return false;
    if (page_name_parse(slash != NULL ? slash + 1 : path, &name) ||
        (stat(input, &from) == 0 && from.st_dev == to.st_dev && from.st_ino == to.st_ino))
        return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, begin, sizeof(begin));
    if (fd >= 0)
        (void)close(fd);
    return len > 0 && flight_is_evidence(begin, (size_t)len);
}

/* -errno. */
static int create(const char *path, FILE **ret)
{
    int rc = 0, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    *ret = fd < 0 ? NULL : fdopen(fd, "w");
    if (*ret == NULL) {
        rc = -errno;
        if (fd >= 0)
            (void)close(fd);
    }
    return rc;
}

/* -errno; -EIO where an earlier write failed: errno is from another call by now. */
static int finish(FILE *file)
{
    int rc = ferror(file) != 0 ? -EIO : 0;
    return fclose(file) != 0 ? -errno : rc;
}

/* -errno. */
static int print_page(const struct flight *f, const struct verdict *v,
                      const struct report_plots *plots, const char *path)
{
    FILE *to;
    if (strcmp(path, "-") == 0) {
        report_print_html(f, v, plots, stdout);
        return 0;
    }
    int rc = create(path, &to);
    if (rc < 0)
        return rc;
    report_print_html(f, v, plots, to);
    return finish(to);
}

static int write_page(const struct flight *f, const struct verdict *v, const char *path)
{
    struct report_plots plots;
    int drawn = report_plots_draw(f, v, &plots);
    int rc = print_page(f, v, drawn == 0 ? &plots : NULL, path);
    report_plots_free(&plots);
    if (rc < 0) {
        cmd_say("report: cannot write %s: %s", path, strerror(-rc));
        return EXIT_PROBLEM;
    }
    if (drawn < 0)
        cmd_say("report: the page has no plots: %s",
                drawn == -ENOENT ? "gnuplot is not installed (Debian: gnuplot-nox)"
                                 : "gnuplot failed");
    return EXIT_OK;
}

static void complain(const char *path, int rc, const struct flight *f)
{
    if (rc == -EPROTONOSUPPORT)
        cmd_say("report: cannot read %s: it is a %s of format %" PRIu64
                ", this plimsoll reads %" PRIu64,
                path, f->from_page ? "stats page" : "flight record", f->format, f->reads);
    else
        cmd_say("report: cannot read %s: %s", path,
                rc == -EBADMSG  ? "it is neither a flight record nor a stats page"
                : rc == -EINVAL ? "it is neither a file nor a pipe"
                                : strerror(-rc));
}

static int show(const char *path, const struct wish *wish)
{
    struct flight flight;
    struct verdict verdict;
    if (wish->html != NULL && is_evidence(wish->html, path))
        return cmd_bad_value(&verb_report, "--html", wish->html,
                             "a file that is no flight record or stats page; nothing is written");
    int code = EXIT_OK, rc = flight_load(path, &flight);
    if (rc < 0) {
        complain(path, rc, &flight);
        flight_free(&flight);
        return EXIT_PROBLEM;
    }
    report_judge(&flight, &verdict);
    if (wish->html != NULL)
        code = write_page(&flight, &verdict, wish->html);
    if (wish->json)
        json_print(report_json(&flight, &verdict));
    if (wish->text || (wish->html == NULL && !wish->json))
        report_print_text(&flight, &verdict, stdout);
    flight_free(&flight);
    return code;
}

static int run(const struct cmd_verb *self, int argc, char **argv)
{
    struct wish wish = {0};
    const char *value;
    int rest, next;
    while ((next = cmd_next_flag(self, argc, argv, &value, &rest)) >= 0) {
        wish.text |= next == FLAG_TEXT;
        wish.json |= next == FLAG_JSON;
        wish.html = next == FLAG_HTML ? value : wish.html;
    }
    if (next != CMD_END)
        return cmd_flag_exit(next);
    if (rest < argc)
        return show(argv[rest], &wish);
    cmd_say(
        "report: FILE is missing, expected: plimsoll report %s (plimsoll status names the pages "
        "of processes that died)",
        self->synopsis);
    return EXIT_USAGE;
}

const struct cmd_verb verb_report = {
    .name = "report",
    .synopsis = "[--text] [--html FILE] [--json] FILE",
    .summary = "show what a flight record or stats page tells of a process's last minutes",
    .details = details,
    .flags = flags,
    .words_most = 1,
    .run = run,
};
