/* plimsoll metrics: the figures of all processes for Prometheus, once or served. */
#include "cmd.h"
#include "metrics.h"
#include "no_page.h"

#include <string.h>

enum flag { FLAG_LISTEN, FLAG_FORMAT, FLAG_JSON };

static const struct cmd_flag flags[] = {
    [FLAG_LISTEN] = {0, "listen", "ADDRESS:PORT", "serve over HTTP, such as 127.0.0.1:9464"},
    [FLAG_FORMAT] = {0, "format", "FORMAT", "prometheus (the default) or openmetrics"},
    [FLAG_JSON] = {0, "json", NULL, "print JSON instead, as /data.json serves it"},
    {0},
};

static const char details[] =
    "With --listen: /metrics in either format, as the scraper accepts it, / with a page that\n"
    "draws the headroom over time, /healthz. Without an address (\":9464\", \"9464\") it listens\n"
    "on 127.0.0.1. Whoever reaches the port reads the figures.";

static bool take_format(const char *word, enum metrics_format *ret)
{
    *ret = strcmp(word, "openmetrics") == 0 ? METRICS_OPENMETRICS : METRICS_PROMETHEUS;
    return *ret == METRICS_OPENMETRICS || strcmp(word, "prometheus") == 0;
}

static int run(const struct cmd_verb *self, int argc, char **argv)
{
    enum metrics_format format = METRICS_PROMETHEUS;
    const char *listen = NULL, *once = NULL, *value;
    struct pages pages;
    bool json = false;
    int next;
    while ((next = cmd_next_flag(self, argc, argv, &value, NULL)) >= 0) {
        if (next == FLAG_LISTEN)
            listen = value;
        else
            once = flags[next].name;
        if (next == FLAG_JSON)
            json = true;
        else if (next == FLAG_FORMAT && !take_format(value, &format))
            return cmd_bad_value(self, "--format", value, "prometheus or openmetrics");
    }
    if (next != CMD_END)
        return cmd_flag_exit(next);
    if (listen != NULL && once != NULL) {
        cmd_say("metrics: --%s prints once, expected without --listen (which serves either format "
                "and /data.json)",
                once);
        return EXIT_USAGE;
    }
    if (!stats_dir_is_readable(self->name))
        return EXIT_PROBLEM;
    if (listen != NULL)
        return metrics_serve(listen);
    int rc = pages_read(json, &pages);
    if (rc < 0) {
        cmd_say("metrics: cannot read the stats pages: %s", strerror(-rc));
        return EXIT_PROBLEM;
    }
    if (json) {
        metrics_write_json(&pages, stdout);
        putchar('\n');
    } else
        metrics_write(&pages, format, stdout);
    pages_free(&pages);
    return EXIT_OK;
}

const struct cmd_verb verb_metrics = {
    .name = "metrics",
    .synopsis = "[--listen ADDRESS:PORT] [--format FORMAT] [--json]",
    .summary = "print the figures of all processes for Prometheus, or serve them",
    .details = details,
    .flags = flags,
    .run = run,
};
