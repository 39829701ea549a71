/* What plimsoll metrics prints and serves. */
#ifndef PLIM_CMD_METRICS_H
#define PLIM_CMD_METRICS_H

#include "stats_pages.h"

#include <stdio.h>

enum metrics_format {
    METRICS_PROMETHEUS,  /* text format 0.0.4, which promtool reads; "# EOF" is a comment in it */
    METRICS_OPENMETRICS, /* 1.0.0: counters are declared without their "_total" */
};

void metrics_write(const struct pages *pages, enum metrics_format format, FILE *to);
/* The processes with the last minutes of usage, for the page in a browser. */
void metrics_write_json(const struct pages *pages, FILE *to);

/* Serves both, and the page, until a signal ends it. ADDRESS:PORT, :PORT or PORT; the address is
 * the loopback one if not given. Returns the exit code. */
int metrics_serve(const char *listen);

#endif
