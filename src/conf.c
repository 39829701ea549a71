/* jemalloc's settings, see runtime.h. jemalloc reads them first and MALLOC_CONF last, which
 * wins. */
#include "runtime.h"

#include "capacity.h"
#include "fmt.h"
#include "inside.h"
#include "je.h"
#include "look.h"

static char conf[2048];
const char *je_malloc_conf = conf;

/* A program made for jemalloc may define this; it is appended to our settings. */
PLIM_EXPORT const char *malloc_conf __attribute__((weak));

/* One arena per usable CPU: more only keep free pages apart from each other. */
static void print_ours(struct fmt *f)
{
    inside_no_cache_oblivious(); /* saves a page for every block from 16 KiB on */
    fmt_str(f, "narenas:");
    fmt_u64(f, capacity_known_cpus());
    /* max_active_fit: free runs of up to 512 times a request are split for it, not 64: reused
     * sooner. */
    fmt_str(f, ",muzzy_decay_ms:0,lg_extent_max_active_fit:9");
    /* By default a thread may keep 20 free blocks and more of each size up to 32 KiB, 4.4 MiB in
     * all, which only the thread itself can give back. No block at all of a size cost a program ten
     * times the time that one did. */
    uint64_t limit = cgroup_effective_bytes(&look.usage.memory, UNLIMITED);
    if (limit <= GiB) {
        fmt_str(f, ",tcache_nslots_small_min:4,tcache_nslots_large:");
        fmt_u64(f, limit <= 256 * MiB ? 2 : 4);
    } else /* four locks a size for threads that share an arena, at the cost of half-filled slabs */
        fmt_str(f, ",bin_shards:1-1024:4");
    /* By default blocks of 8 MiB and more have an arena that keeps no free page: each is faulted in
     * anew, at ten times the cost of filling it. Where room is scarce, and others may be in it,
     * that is how it should be; but where arenas need hooks, this one, made later, has none. */
    if (limit > GiB || JE_NEEDS_HOOKS)
        fmt_str(f, ",oversize_threshold:0");
    if (runtime.options.heap_profile > 0) {
        fmt_str(f, ",prof:true,lg_prof_sample:");
        fmt_u64(f, runtime.options.heap_profile);
    }
}

/* The program's own settings come last, so that they win. */
static void print_theirs(struct fmt *f)
{
    if (malloc_conf == NULL)
        return;
    if (f->len > 0)
        fmt_str(f, ",");
    fmt_str(f, malloc_conf);
}

void conf_build(void)
{
    struct fmt f = FMT_INIT(conf);
    if (runtime.options.enabled)
        print_ours(&f);
    print_theirs(&f);
}
