/* plimsoll doctor: what was found, for people and for programs. */
#include "clean.h"
#include "doctor.h"
#include "figures.h"
#include "json.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *confidence_word(enum cgroup_confidence confidence)
{
    switch (confidence) {
    case CGROUP_EXACT:
        return "exact";
    case CGROUP_FALLBACK:
        return "fallback";
    case CGROUP_NONE:
        break;
    }
    return "none";
}

static const char *path_or_dash(const char *path)
{
    return path[0] != '\0' ? path : "-";
}

/* The path of a level: a leading part of the process's own. */
static void level_path(const struct diagnosis *d, const struct doctor_level *level, char *buf,
                       size_t len)
{
    (void)snprintf(buf, len, "%.*s", (int)level->limit.path_len, d->cgroup.memory.path);
}

static void print_levels(const struct diagnosis *d)
{
    char path[CGROUP_PATH_MAX];
    printf("Memory cgroup: %s (v%d, %s)\n", path_or_dash(d->cgroup.memory.path),
           d->cgroup.memory.version, confidence_word(d->cgroup.memory.confidence));
    for (unsigned i = 0; i < d->level_count; i++) {
        const struct doctor_level *level = &d->levels[i];
        level_path(d, level, path, sizeof(path));
        printf("  %s%s\n", path, doctor_level_binds(d, level) ? "  <- binds" : "");
        printf("    limit %s, high %s, usage %s, of that reclaimable %s\n",
               words_bytes(level->limit.hard), words_bytes(level->limit.high),
               words_known(level->usage), words_known(level->reclaimable));
    }
}

static void print_limits(const struct diagnosis *d)
{
    printf("RAM: %s", words_known(d->ram));
    if (d->swap != UNLIMITED)
        printf(", swap %s", words_bytes(d->swap));
    printf("\nSwap limit: %s\n", words_bytes(d->memory.swap));
    printf("Effective limit: %s (from: %s)\n", words_bytes(d->effective_bytes),
           d->effective_bytes == UNLIMITED ? "none"
           : d->effective_bytes < d->ram   ? "cgroup"
                                           : "RAM");
    if (d->limits.source == LIMITS_NONE) {
        puts("Soft limit: none");
        return;
    }
    printf("Soft limit: %s; purging from %s, callbacks from %s, critical from %s\n",
           words_bytes(d->limits.soft), words_bytes(d->limits.low), words_bytes(d->limits.soft),
           words_bytes(d->limits.critical));
}

static void print_cpus(const struct diagnosis *d)
{
    printf("CPU cgroup: %s (v%d, %s)\n", path_or_dash(d->cgroup.cpu.path), d->cgroup.cpu.version,
           confidence_word(d->cgroup.cpu.confidence));
    printf("CPUs: %u, affinity %u, quota ", d->effective_cpus, d->affinity);
    if (d->millicpus == UNLIMITED)
        puts("unlimited");
    else
        printf("%" PRIu64 ".%03" PRIu64 "\n", d->millicpus / 1000, d->millicpus % 1000);
}

static const char *const weight_names[] = {
    [DOCTOR_NOTE] = "note",
    [DOCTOR_WARNING] = "warning",
    [DOCTOR_PROBLEM] = "problem",
};

/* The worst first. */
static void print_findings(const struct diagnosis *d)
{
    static const char *const words[] = {
        [DOCTOR_NOTE] = "Note",
        [DOCTOR_WARNING] = "Warning",
        [DOCTOR_PROBLEM] = "Problem",
    };
    bool wrong = false;
    for (int weight = DOCTOR_PROBLEM; weight >= DOCTOR_NOTE; weight--) {
        if (weight == DOCTOR_NOTE && !wrong)
            puts("Nothing looks wrong.");
        for (unsigned i = 0; i < d->finding_count; i++) {
            const struct doctor_finding *finding = &d->findings[i];
            if ((int)finding->weight != weight)
                continue;
            wrong = true;
            printf("%s (%s): %s\n", words[weight], doctor_topic_words[finding->topic],
                   finding->text);
        }
    }
}

static void print_process(const struct diagnosis *d)
{
    const struct doctor_process *p = &d->process;
    printf("Process %d (%s): %s, stats page %s\n", d->request.pid, p->comm,
           p->linked          ? "libplimsoll.a is linked"
           : p->preloaded     ? "libplimsoll.so is loaded"
           : p->maps_readable ? "libplimsoll.so is not loaded"
                              : "libplimsoll.so cannot be looked for",
           p->page[0] != '\0'                    ? p->page
           : p->page_mapped || !p->maps_readable ? "not readable from here"
                                                 : "none");
}

/* Names of cgroups and variables come from the users whose processes are looked at. Lengths
 * stay. */
static void clean(struct diagnosis *d)
{
    clean_text(d->cgroup.memory.path);
    clean_text(d->cgroup.cpu.path);
    clean_text(d->thp);
    clean_text(d->library);
    clean_text(d->process.comm);
    clean_text(d->process.page);
    for (unsigned i = 0; i < d->finding_count; i++)
        clean_text(d->findings[i].text);
}

void doctor_print_text(struct diagnosis *d)
{
    clean(d);
    print_levels(d);
    print_limits(d);
    print_cpus(d);
    printf("Transparent huge pages: %s\n", d->thp[0] != '\0' ? d->thp : "unknown");
    if (d->request.root[0] == '\0')
        printf("Library: %s (what plimsoll run would preload)\n", path_or_dash(d->library));
    if (doctor_has_process(&d->request))
        print_process(d);
    print_findings(d);
}

static json_t *levels_json(const struct diagnosis *d)
{
    char path[CGROUP_PATH_MAX];
    json_t *list = json_array();
    for (unsigned i = 0; i < d->level_count; i++) {
        const struct doctor_level *level = &d->levels[i];
        json_t *row = json_object();
        level_path(d, level, path, sizeof(path));
        json_object_set_new(row, "path", json_text(path));
        json_object_set_new(row, "limit_bytes", json_limit(level->limit.hard));
        json_object_set_new(row, "high_bytes", json_limit(level->limit.high));
        json_object_set_new(row, "usage_bytes", json_known(level->usage));
        json_object_set_new(row, "reclaimable_bytes", json_known(level->reclaimable));
        json_object_set_new(row, "binds", json_boolean(doctor_level_binds(d, level)));
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *texts_json(const struct diagnosis *d, enum doctor_weight weight)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < d->finding_count; i++)
        if (d->findings[i].weight == weight)
            json_array_append_new(list, json_text(d->findings[i].text));
    return list;
}

static json_t *findings_json(const struct diagnosis *d)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < d->finding_count; i++) {
        const struct doctor_finding *finding = &d->findings[i];
        json_t *row = json_object();
        json_object_set_new(row, "weight", json_text(weight_names[finding->weight]));
        json_object_set_new(row, "topic", json_text(doctor_topic_words[finding->topic]));
        json_object_set_new(row, "text", json_text(finding->text));
        json_array_append_new(list, row);
    }
    return list;
}

static void set_limits_json(json_t *all, const struct diagnosis *d)
{
    json_object_set_new(all, "ram_bytes", json_limit(d->ram));
    json_object_set_new(all, "soft_limit_source", json_text(source_name(d->limits.source)));
    json_object_set_new(all, "soft_limit_bytes", json_limit(d->limits.soft));
    json_object_set_new(all, "low_bytes", json_limit(d->limits.low));
    json_object_set_new(all, "critical_bytes", json_limit(d->limits.critical));
}

static void set_process_json(json_t *all, const struct doctor_process *p)
{
    json_object_set_new(all, "preloaded",
                        p->maps_readable ? json_boolean(p->preloaded) : json_null());
    json_object_set_new(all, "linked", json_boolean(p->linked));
    json_object_set_new(all, "page", p->page[0] != '\0' ? json_text(p->page) : json_null());
}

void doctor_print_json(const struct diagnosis *d)
{
    json_t *all = json_object();
    json_object_set_new(all, "version", json_number((uint64_t)d->cgroup.memory.version));
    json_object_set_new(all, "memory_limit_bytes", json_limit(d->memory.hard));
    json_object_set_new(all, "memory_high_bytes", json_limit(d->memory.high));
    json_object_set_new(all, "cpus", json_millis(d->millicpus));
    json_object_set_new(all, "path", json_text(path_or_dash(d->cgroup.memory.path)));
    json_object_set_new(all, "confidence", json_text(confidence_word(d->cgroup.memory.confidence)));
    json_object_set_new(all, "effective_bytes", json_limit(d->effective_bytes));
    json_object_set_new(all, "effective_cpus", json_number(d->effective_cpus));
    json_object_set_new(all, "cpu_version", json_number((uint64_t)d->cgroup.cpu.version));
    json_object_set_new(all, "cpu_path", json_text(path_or_dash(d->cgroup.cpu.path)));
    json_object_set_new(all, "affinity_cpus", json_number(d->affinity));
    json_object_set_new(all, "swap_limit_bytes", json_limit(d->memory.swap));
    set_limits_json(all, d);
    json_object_set_new(all, "thp", d->thp[0] != '\0' ? json_text(d->thp) : json_null());
    json_object_set_new(all, "library",
                        d->library[0] != '\0' ? json_text(d->library) : json_null());
    if (doctor_has_process(&d->request))
        set_process_json(all, &d->process);
    json_object_set_new(all, "levels", levels_json(d));
    json_object_set_new(all, "warnings", texts_json(d, DOCTOR_WARNING));
    json_object_set_new(all, "problems", texts_json(d, DOCTOR_PROBLEM));
    json_object_set_new(all, "notes", texts_json(d, DOCTOR_NOTE));
    json_object_set_new(all, "findings", findings_json(d));
    json_print(all);
}
