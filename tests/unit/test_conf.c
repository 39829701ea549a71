/* Which settings jemalloc gets, by the limits and CPUs that were found. */
#include "capacity.h"
#include "inside.h"
#include "je.h"
#include "look.h"
#include "runtime.h"

#include <criterion/criterion.h>
#include <string.h>

struct runtime runtime;
struct look look;

unsigned capacity_known_cpus(void)
{
    return 2;
}

void inside_no_cache_oblivious(void) {}

/* Whether threads' caches are to be small, under these limits. */
static bool caches_are_small(uint64_t hard, uint64_t high)
{
    runtime.options.enabled = true;
    look.usage.memory = (struct cgroup_memory){.level_count = 1, .levels = {{hard, high, 1}}};
    conf_build();
    bool small = strstr(je_malloc_conf, "tcache_nslots_large:") != NULL;
    cr_expect_null(strstr(je_malloc_conf, "tcache_max:"), "32 KiB, as jemalloc has it");
    cr_expect_neq(small, strstr(je_malloc_conf, "bin_shards:") != NULL, "%s", je_malloc_conf);
    return small;
}

Test(conf, caches_are_small_under_a_gib_whichever_limit_says_so)
{
    cr_expect(caches_are_small(GiB, UNLIMITED));
    cr_expect(caches_are_small(4 * GiB, GiB), "memory.high");
    cr_expect(caches_are_small(UNLIMITED, 200 * MiB), "memory.high alone");
    cr_expect_not(caches_are_small(2 * GiB, UNLIMITED));
    cr_expect_not(caches_are_small(2 * GiB, 0), "the kernel is asked to take back what it can");
    cr_expect_not(caches_are_small(2 * GiB, GiB + 1));
    cr_expect_not(caches_are_small(UNLIMITED, UNLIMITED));
}

Test(conf, they_are_smaller_still_under_256_mib)
{
    cr_assert(caches_are_small(256 * MiB, UNLIMITED));
    cr_expect_not_null(strstr(je_malloc_conf, "tcache_nslots_large:2"), "%s", je_malloc_conf);
    cr_assert(caches_are_small(256 * MiB + 1, UNLIMITED));
    cr_expect_not_null(strstr(je_malloc_conf, "tcache_nslots_large:4"), "%s", je_malloc_conf);
}

Test(conf, nothing_is_set_where_plimsoll_is_off)
{
    runtime.options.enabled = false;
    conf_build();
    cr_expect_str_eq(je_malloc_conf, "");
}
