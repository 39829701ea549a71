/* plimsoll doctor: what only the process itself knows, from its stats page. */
#include "doctor.h"
#include "pages.h"

/* Of another hard limit than is in force now: it was written before that changed. */
static bool is_of_now(const struct diagnosis *d, const uint64_t *values)
{
    return values[PAGE_HARD] == d->effective_bytes || values[PAGE_SOURCE] == LIMITS_PROCESS;
}

void doctor_gather_page(struct diagnosis *d)
{
    struct pages pages;
    if (d->request.root[0] != '\0' || d->request.pid == 0 || pages_read(false, &pages) < 0)
        return;
    const struct process *process = pages_find(&pages, (uint64_t)d->request.pid);
    const uint64_t *values = process != NULL ? process->view.values : NULL;
    if (values != NULL && is_of_now(d, values) && values[PAGE_SOFT] != d->limits.soft) {
        d->limits = (struct limits){.source = (enum limits_source)values[PAGE_SOURCE],
                                    .hard = values[PAGE_HARD],
                                    .soft = values[PAGE_SOFT],
                                    .low = values[PAGE_LOW],
                                    .critical = values[PAGE_CRITICAL]};
        d->process.limit_set = true;
    }
    pages_free(&pages);
}
