/* The numbers of plim_stats() and of the stats page, see stats.h. */
#include "stats.h"

#include "account.h"
#include "arenas.h"
#include "capacity.h"
#include "look.h"
#include "publish.h"
#include "runtime.h"
#include "watcher.h"

_Atomic uint64_t counters[PAGE_FIELD_COUNT];

void stats_fill(uint64_t values[PAGE_FIELD_COUNT])
{
    struct arenas_pages pages;
    arenas_read(&pages);
    for (unsigned i = 0; i < PAGE_FIELD_COUNT; i++)
        values[i] = atomic_load_explicit(&counters[i], memory_order_relaxed);
    values[PAGE_UPDATED] = sys_now_ns();
    values[PAGE_LEVEL] = atomic_load_explicit(&look.level, memory_order_relaxed);
    values[PAGE_CANNOT_MEET] = atomic_load_explicit(&look.cannot_meet, memory_order_relaxed);
    values[PAGE_USAGE] = look_usage();
    values[PAGE_CPUS] = capacity_known_cpus();
    values[PAGE_COMMITTED] = pages.committed;
    values[PAGE_ACTIVE] = pages.active;
    values[PAGE_DIRTY] = pages.dirty;
    values[PAGE_PEAK_COMMITTED] =
        (uint64_t)atomic_load_explicit(&account.peak, memory_order_relaxed);
    values[PAGE_WATCHER] = watcher_runs();
    values[PAGE_PASS] = atomic_load_explicit(&watcher.pass_ns, memory_order_seq_cst);
}

void stats_publish(const struct governor_input *in, uint64_t granted)
{
    uint64_t values[PAGE_FIELD_COUNT];
    const struct usage *u = &look.usage;
    if (!atomic_load_explicit(&runtime.late, memory_order_relaxed))
        return; /* environment and stderr may not be in their final state yet */
    if (publish_page() == NULL && !runtime_is_ours())
        return; /* a child of vfork must not leave a page in its parent's memory */
    if (!publish_open(&runtime.options, in->committed + granted, in->watched))
        return;
    stats_fill(values);
    values[PAGE_SOFT] = in->limits.soft;
    values[PAGE_HARD] = in->limits.hard;
    values[PAGE_LOW] = in->limits.low;
    values[PAGE_CRITICAL] = in->limits.critical;
    values[PAGE_SOURCE] = in->limits.source;
    values[PAGE_CGROUP_MAX] = u->memory.hard;
    values[PAGE_CGROUP_HIGH] = u->memory.high;
    values[PAGE_CGROUP_VERSION] = (uint64_t)u->cgroup.memory.version;
    const struct publish_look found = {
        .values = values,
        .cgroup_path = u->cgroup.memory.path,
        .limit_path_len =
            in->limits.source == LIMITS_CGROUP ? (uint32_t)u->levels[u->binding].path_len : 0,
        .committed = in->committed,
        .active = in->active,
        .dirty = in->dirty,
        .request = in->request,
        .granted = granted,
    };
    publish(&found);
    struct page *page = publish_page();
    if (page != NULL)
        watcher_use(&page->mailbox);
}

void stats_fork_child(void)
{
    for (unsigned i = 0; i < PAGE_FIELD_COUNT; i++)
        atomic_store_explicit(&counters[i], 0, memory_order_relaxed);
}
