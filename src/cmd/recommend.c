/* The smallest safe limit, see recommend.h. */
#include "recommend.h"

#include "json.h"
#include "words.h"

#include "../fmt.h"
#include "../sys.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    SHARE_DEFAULT = 85, /* soft limit 90 %, and purging starts 5 points below it */
    SHARE_LEAST = 20,
    LIMIT_LEAST_MIB = 16,
    STATUS_MAX = 1 << 20, /* a line of it names all groups, of which there may be 65536 */
};

/* What counts against a limit and is not the heap: stacks, the program's data, its own allocators,
 * jemalloc's metadata, page tables. */
static bool read_outside(const struct process *p, uint64_t *ret)
{
    static const char *const keys[] = {"RssAnon", "RssShmem", "VmPTE"};
    static char text[STATUS_MAX];
    char path[64];
    uint64_t kib[ARRAY_LEN(keys)] = {0};
    (void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/status", p->view.pid);
    if (p->life != PAGE_LIVES || sys_read_file(path, text, sizeof(text)) < 0)
        return false;
    (void)fmt_scan_keys(text, keys, kib, ARRAY_LEN(keys));
    uint64_t sum = (kib[0] + kib[1] + kib[2]) * KiB;
    *ret = u64_less(sum, p->view.values[PAGE_COMMITTED]);
    return sum > 0;
}

/* Where purging starts, as a share of the hard limit. */
static uint64_t purge_share(const struct page_view *view)
{
    uint64_t low = view->values[PAGE_LOW], hard = view->values[PAGE_HARD];
    if (hard == UNLIMITED || hard == 0 || low > hard)
        return SHARE_DEFAULT;
    return u64_max((u64_share(1000, low, hard) + 5) / 10, SHARE_LEAST);
}

void recommend(const struct process *p, struct recommendation *ret)
{
    const uint64_t *v = p->view.values;
    uint64_t heap = v[PAGE_PEAK_ACTIVE];
    *ret = (struct recommendation){
        .heap = heap,
        /* Twice the growth between looks far from the limit, a sixteenth of the heap or 2 MiB. No
         * more than the heap ever held. */
        .unseen = u64_min(u64_less(v[PAGE_PEAK_COMMITTED], heap), u64_max(heap / 8, 4 * MiB)),
        .share = purge_share(&p->view),
    };
    ret->outside_known = read_outside(p, &ret->outside);
    uint64_t need = ret->heap + ret->unseen + ret->outside;
    uint64_t mib = u64_share(need, 100, ret->share) / MiB + 1;
    ret->limit = u64_max(mib, LIMIT_LEAST_MIB) * MiB;
}

static void print_part(const char *label, uint64_t bytes, const char *behind)
{
    printf("# %-10s %10s  %s\n", label, words_bytes(bytes), behind);
}

void recommend_print(const struct process *p, const struct recommendation *r)
{
    uint64_t mib = r->limit / MiB;
    printf("# Process %" PRIu64 " (%s): limit %" PRIu64 " bytes\n#\n", p->view.pid, p->comm,
           r->limit);
    print_part("in use", r->heap, "the most that the heap had in use at a look");
    print_part("unseen", r->unseen, "that it may have had in use between two looks");
    print_part("outside", r->outside,
               r->outside_known ? "anonymous memory and page tables beside the heap, now"
                                : "beside the heap: not known, the process is gone");
    printf("# The sum is %" PRIu64 " %% of the limit: there purging starts. Page cache comes and\n"
           "# goes on top. Seen so far: as good as the load it has had.\n",
           r->share);
    printf("resources:\n  requests:\n    memory: \"%" PRIu64 "Mi\"\n"
           "  limits:\n    memory: \"%" PRIu64 "Mi\"\n",
           mib, mib);
}

json_t *recommend_json(const struct process *p, const struct recommendation *r)
{
    char memory[32];
    (void)snprintf(memory, sizeof(memory), "%" PRIu64 "Mi", r->limit / MiB);
    json_t *all = json_object(), *resources = json_object();
    json_object_set_new(all, "pid", json_number(p->view.pid));
    json_object_set_new(all, "comm", json_text(p->comm));
    json_object_set_new(all, "limit_bytes", json_number(r->limit));
    json_object_set_new(all, "in_use_bytes", json_number(r->heap));
    json_object_set_new(all, "unseen_bytes", json_number(r->unseen));
    json_object_set_new(all, "outside_bytes",
                        r->outside_known ? json_number(r->outside) : json_null());
    json_object_set_new(all, "share_percent", json_number(r->share));
    for (unsigned i = 0; i < 2; i++) {
        json_t *part = json_object();
        json_object_set_new(part, "memory", json_text(memory));
        json_object_set_new(resources, i == 0 ? "requests" : "limits", part);
    }
    json_object_set_new(all, "resources", resources);
    return all;
}
