/* plimsoll doctor: which limit binds, and the soft one in force, by the process's stats page. */
#include "doctor.h"
#include "pages.h"

/* What is in force under the page's hard limit, unless it was set since. No limits: there is no
 * such hard limit any more, and the page was written before that changed. */
static struct limits limits_expected(const struct diagnosis *d, const uint64_t *values)
{
    bool nearest = true;
    if (values[PAGE_SOURCE] != LIMITS_CGROUP)
        return limits_alone(d->ram, &d->options);
    for (unsigned i = 0; i < d->memory.level_count; i++) {
        uint64_t hard = limits_level_bytes(&d->memory.levels[i]);
        if (hard == values[PAGE_HARD])
            return limits_of_level(nearest, hard, &d->options);
        nearest = nearest && hard >= d->ram;
    }
    return (struct limits){.source = LIMITS_NONE};
}

static void take_limits(struct diagnosis *d, const uint64_t *values)
{
    struct limits expected = limits_expected(d, values);
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
    if (d->request.root[0] != '\0' || d->request.pid == 0 || pages_read(false, &pages) < 0)
        return;
    const struct process *process = pages_find(&pages, (uint64_t)d->request.pid);
    if (process != NULL)
        take_limits(d, process->view.values);
    pages_free(&pages);
}
