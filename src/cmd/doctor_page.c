/* plimsoll doctor: which limit binds, and the soft one in force, by the process's stats page. */
#include "doctor.h"
#include "stats_pages.h"

#include <stdio.h>

/* Not from a page whose hard limit no longer exists: the limit has changed since it was written. */
static void take_limits(struct diagnosis *d, const uint64_t *values)
{
    /* What the soft limit would be if none had been set at run time. */
    struct limits expected = values[PAGE_SOURCE] == LIMITS_CGROUP
                                 ? doctor_limits_under(d, values[PAGE_HARD])
                                 : limits_alone(d->ram, &d->options.wish);
    if (values[PAGE_SOURCE] == LIMITS_NONE || expected.source == LIMITS_NONE)
        return;
    d->limits = (struct limits){.source = (enum limits_source)values[PAGE_SOURCE],
                                .hard = values[PAGE_HARD],
                                .soft = values[PAGE_SOFT],
                                .low = values[PAGE_LOW],
                                .critical = values[PAGE_CRITICAL]};
    d->binding_bytes = d->limits.hard;
    d->process.limit_set = d->limits.soft != expected.soft;
}

void doctor_gather_page(struct diagnosis *d)
{
    struct pages pages;
    if (!doctor_has_process(&d->request) || pages_read_for((uint64_t)d->request.pid, &pages) < 0)
        return;
    const struct process *process = pages_find(&pages, (uint64_t)d->request.pid);
    if (process != NULL) {
        (void)snprintf(d->process.page, sizeof(d->process.page), "%s", process->path);
        take_limits(d, process->view.values);
    }
    pages_free(&pages);
}
