/* Putting the hooks on a shared jemalloc that has begun already, see arenas_internal.h. */
#include "arenas_internal.h"
#include "hooks.h"

#include <errno.h>

/* Setting the hooks makes the automatic arenas, all at once. The one for large requests, if
 * MALLOC_CONF wants it, cannot be made from here. */
static int install_on_all(void)
{
    struct je_extent_hooks *ours = &hooks;
    unsigned count = 0;
    int rc = control_read("arenas.narenas", &count, sizeof(count));
    count = (unsigned)u64_min(count, ACCOUNT_ARENAS);
    for (unsigned i = 0; rc == 0 && i < count; i++) {
        rc = arena_control("arena.", i, ".extent_hooks", NULL, sizeof(ours), &ours);
        if (rc == 0)
            account_arena_made(i);
        else if (rc == -EFAULT && i > 0)
            rc = 0;
    }
    return rc;
}

/* Allocates all that the first arena holds in reserve, the largest pieces first, frees and purges
 * it: so it goes through the decommit hook once, and is as uncommitted as any other reserve. */
static void cycle_reserve(size_t reserve, size_t page)
{
    const size_t large = (size_t)(16 * KiB); /* below, single pages: slabs of one block */
    void *held[16];
    unsigned n = 0;
    for (size_t size = (size_t)MiB; n < ARRAY_LEN(held) && reserve >= page;) {
        if (reserve < size) {
            size = size / 2 >= large ? size / 2 : page;
            continue;
        }
        held[n] = je_mallocx(size, JE_ARENA_NO_CACHE(0));
        if (held[n] == NULL)
            break;
        n++;
        reserve -= size;
    }
    while (n > 0)
        je_dallocx(held[--n], JE_ARENA_NO_CACHE(0));
    (void)arena_control("arena.", 0, ".purge", NULL, 0, NULL);
}

int arenas_install_hooks(size_t page)
{
    int rc = install_on_all();
    if (rc != 0)
        return rc;
    arenas_refresh();
    size_t retained = arena_statistic(0, ".retained");
    account_add((int64_t)(retained + arena_statistic(0, ".pactive") * page));
    cycle_reserve(retained, page);
    return 0;
}
