/*
 * Feeds plimsoll report with any bytes, as a flight record or a stats page, and makes all forms of
 * the report except the pictures. Built with clang's libFuzzer; run by tests/fuzz/run.
 */
#include "../../src/cmd/report.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void report(const struct flight *flight, FILE *to)
{
    struct verdict verdict;
    report_judge(flight, &verdict);
    report_print_text(flight, &verdict, to);
    report_print_html(flight, &verdict, NULL, to);
    for (unsigned i = 0; i < REPORT_PLOT_COUNT; i++)
        (void)report_plot_script(flight, &verdict, (enum report_plot)i, to);
    json_t *json = report_json(flight, &verdict);
    (void)json_dumpf(json, to, 0);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static FILE *nowhere;
    struct flight flight;
    void *exact = malloc(len > 0 ? len : 1); /* so that one byte too far is seen */
    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "w");
    if (exact == NULL || nowhere == NULL)
        abort();
    if (len > 0)
        memcpy(exact, data, len);
    if (flight_parse(exact, len, &flight) == 0)
        report(&flight, nowhere);
    flight_free(&flight);
    free(exact);
    return 0;
}
