/* plimsoll doctor: what looks wrong with a process, or would with one that is started from here. */
#include "doctor.h"
#include "words.h"

#include "../stats_page.h"

#include <string.h>

/* A record and the earlier ones that the directory keeps take well below this. */
#define RECORD_SPACE (16 * MiB)
/* Under RLIMIT_AS the heap may take this many times its memory of address space. */
enum { ADDRESS_TIMES = 4 };
/* oom_score_adj: as Kubernetes sets it for best effort, and the value that exempts from being
 * killed. */
enum { OOM_BEST_EFFORT = 1000, OOM_NEVER = -1000 };

static void judge_environment(struct diagnosis *d)
{
    const struct doctor_process *p = &d->process;
    if (p->leftovers[0] != '\0')
        doctor_add(d, DOCTOR_WARNING, DOCTOR_LEFTOVERS,
                   "%s: tunes another malloc and does nothing here; PLIMSOLL_CPUS sets the number "
                   "of arenas, PLIMSOLL_PROFILE how hard to purge",
                   p->leftovers);
    if (p->malloc_conf[0] != '\0')
        doctor_add(d, DOCTOR_WARNING, DOCTOR_LEFTOVERS,
                   "MALLOC_CONF is set (%s): it goes before what Plimsoll tells jemalloc",
                   p->malloc_conf);
    if (p->before[0] != '\0')
        doctor_add(d, DOCTOR_PROBLEM, DOCTOR_MALLOCS,
                   "LD_PRELOAD has %s in front of libplimsoll.so: that malloc is used instead",
                   p->before);
    if (p->behind[0] != '\0')
        doctor_add(d, DOCTOR_WARNING, DOCTOR_MALLOCS,
                   "LD_PRELOAD has %s: its malloc is not used behind libplimsoll.so, but it is "
                   "loaded",
                   p->behind);
    if (p->sanitizer[0] != '\0')
        doctor_add(d, DOCTOR_WARNING, DOCTOR_MALLOCS,
                   "%s is loaded: its malloc does not stand another one; run a build without it",
                   p->sanitizer);
}

/* Preloaded or linked, even if only its stats page tells. */
static bool has_library(const struct doctor_process *p)
{
    return p->preloaded || p->linked || p->page_mapped;
}

/* Why the library is not there. */
static void judge_preload(struct diagnosis *d)
{
    const struct doctor_process *p = &d->process;
    int pid = d->request.pid;
    if (p->secure)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_SECURE,
                   "process %d was executed set-user-id, with file capabilities, or with a real "
                   "user that is not the effective one: LD_PRELOAD and all PLIMSOLL variables are "
                   "ignored; link it to the library",
                   pid);
    if (p->other_heap != NULL)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_HEAPS,
                   "process %d has a heap of %s that is not malloc's: limit that one by its own "
                   "settings, below the cgroup's limit",
                   pid, p->other_heap);
    if (p->own_malloc && p->preloaded && !p->linked)
        doctor_add(d, p->page_mapped ? DOCTOR_NOTE : DOCTOR_WARNING, DOCTOR_MALLOCS,
                   "the program of process %d has a malloc of its own, which goes before "
                   "libplimsoll.so: unless that is Plimsoll's or calls it, what it takes counts in "
                   "the usage, but is not managed",
                   pid);
    if (!p->maps_readable && !p->linked)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_PRELOAD,
                   "whether process %d has libplimsoll.so cannot be told without its rights: run "
                   "doctor as its user or root",
                   pid);
    if (has_library(p) || !p->maps_readable)
        return;
    if (p->is_static)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_STATIC,
                   "process %d is statically linked: nothing can be preloaded into it; link it to "
                   "libplimsoll.a",
                   pid);
    /* For some the reason is given above; a static program may contain the library. */
    bool unexpected = p->preload_asked && !p->is_static && !p->secure;
    doctor_add(d, unexpected ? DOCTOR_PROBLEM : DOCTOR_WARNING, DOCTOR_PRELOAD,
               "process %d does not have libplimsoll.so loaded%s", pid,
               unexpected ? ", though LD_PRELOAD names it: see what the dynamic linker said on its "
                            "stderr"
                          : "");
}

static void say_untold(struct diagnosis *d, enum doctor_topic topic, const struct doctor_dir *dir)
{
    doctor_add(
        d, DOCTOR_NOTE, topic,
        "whether process %d can write to %s cannot be told without its rights: run doctor as "
        "its user or root",
        d->request.pid, dir->path);
}

/* Otherwise a page is made only once the heap holds 2 MiB. */
static bool has_page_from_the_start(const struct options *o)
{
    return o->stats == STATS_DIR || o->thread == THREAD_ON ||
           (o->thread == THREAD_AUTO && (o->record_dir[0] != '\0' || o->heap_profile > 0));
}

static void judge_stats(struct diagnosis *d)
{
    const struct doctor_process *p = &d->process;
    if (d->options.stats == STATS_OFF)
        doctor_add(d, DOCTOR_NOTE, DOCTOR_STATS,
                   "PLIMSOLL_STATS is off: top, status, metrics and ctl cannot see the process");
    else if (p->stats.untold && !p->page_mapped)
        say_untold(d, DOCTOR_STATS, &p->stats);
    else if (p->stats.rc != 0 && !p->page_mapped)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_STATS,
                   "no stats page: %s cannot be written to (%s); set PLIMSOLL_STATS to a directory "
                   "that can",
                   p->stats.path, strerror(-p->stats.rc));
    else if (p->stats.free < sizeof(struct page) && !p->page_mapped)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_STATS,
                   "no stats page: %s has %s left, and each process takes %s", p->stats.path,
                   words_bytes(p->stats.free), words_bytes(sizeof(struct page)));
    else if (has_library(p) && !p->page_mapped && !has_page_from_the_start(&d->options))
        doctor_add(d, DOCTOR_NOTE, DOCTOR_STATS,
                   "process %d has no stats page: there is none before the heap holds 2 MiB; if it "
                   "does, its stderr says why, with PLIMSOLL_LOG=info",
                   d->request.pid);
    else if (has_library(p) && !p->page_mapped)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_STATS,
                   "process %d has no stats page: its stderr says why, with PLIMSOLL_LOG=info",
                   d->request.pid);
    if (p->elsewhere)
        doctor_add(d, DOCTOR_NOTE, DOCTOR_NAMESPACES,
                   "process %d is in another pid namespace: run top, status and metrics in there",
                   d->request.pid);
}

static void judge_record(struct diagnosis *d)
{
    const struct doctor_dir *record = &d->process.record;
    if (d->options.record_dir[0] == '\0')
        doctor_add(d, DOCTOR_NOTE, DOCTOR_RECORD,
                   "PLIMSOLL_RECORD is off: after a kill only the stats page is left to read");
    else if (record->untold)
        say_untold(d, DOCTOR_RECORD, record);
    else if (record->rc != 0)
        doctor_add(d, DOCTOR_PROBLEM, DOCTOR_RECORD,
                   "PLIMSOLL_RECORD: %s cannot be written to (%s): no record will be left",
                   record->path, strerror(-record->rc));
    else if (record->free < RECORD_SPACE)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_RECORD, "PLIMSOLL_RECORD: %s has only %s left",
                   record->path, words_bytes(record->free));
}

static void judge_kill(struct diagnosis *d)
{
    const struct doctor_process *p = &d->process;
    if (p->oom_score_known && p->oom_score > 0)
        doctor_add(d, DOCTOR_NOTE, DOCTOR_OOM_SCORE,
                   "oom_score_adj is %d%s: when the machine itself runs short, the kernel kills "
                   "this before others, also below its limit",
                   p->oom_score,
                   p->oom_score == OOM_BEST_EFFORT ? ", as for QoS class BestEffort" : "");
    if (p->oom_score_known && p->oom_score == OOM_NEVER && d->limits.source == LIMITS_CGROUP)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_OOM_SCORE,
                   "oom_score_adj is %d: over its limit the process is not killed but hangs",
                   p->oom_score);
    if (p->address_space / ADDRESS_TIMES < d->effective_bytes && p->address_space != UNLIMITED)
        doctor_add(d, DOCTOR_WARNING, DOCTOR_ADDRESS_SPACE,
                   "address space is limited to %s (ulimit -v): jemalloc keeps ranges that it has "
                   "purged, so malloc can fail long before the memory limit of %s",
                   words_bytes(p->address_space), words_bytes(d->effective_bytes));
    if (p->neighbours > 0 && d->limits.source == LIMITS_CGROUP && has_library(p))
        doctor_add(d, DOCTOR_WARNING, DOCTOR_NEIGHBOURS,
                   "%u other process%s of its cgroup %s not under Plimsoll, such as %s: what they "
                   "use is counted but cannot be reclaimed",
                   p->neighbours, p->neighbours == 1 ? "" : "es", p->neighbours == 1 ? "is" : "are",
                   p->neighbour);
}

void doctor_judge_process(struct diagnosis *d)
{
    if (d->request.root[0] != '\0')
        return;
    judge_environment(d);
    if (d->request.pid > 0)
        judge_preload(d);
    judge_stats(d);
    judge_record(d);
    judge_kill(d);
}
