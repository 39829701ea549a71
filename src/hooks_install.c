/* Putting the hooks on a shared jemalloc that has begun already, see hooks.h. */
#include "hooks.h"

#include "account.h"
#include "fmt.h"

#include <errno.h>

/* "PREFIX<arena>SUFFIX" */
static int control(const char *prefix, unsigned arena, const char *suffix, void *ret, size_t len,
                   const void *value)
{
    char name[64];
    struct fmt f = FMT_INIT(name);
    fmt_str(&f, prefix);
    fmt_u64(&f, arena);
    fmt_str(&f, suffix);
    return ret != NULL ? -je_mallctl(name, ret, &len, NULL, 0)
                       : -je_mallctl(name, NULL, NULL, (void *)(uintptr_t)value, len);
}

/* All automatic arenas at once, which makes them. The one for large requests, if MALLOC_CONF wants
 * it, cannot be made from here. */
static int install_on_all(void)
{
    struct je_extent_hooks *ours = &hooks;
    unsigned count = 0;
    size_t len = sizeof(count);
    int rc = -je_mallctl("arenas.narenas", &count, &len, NULL, 0);
    count = (unsigned)u64_min(count, ACCOUNT_ARENAS);
    for (unsigned i = 0; rc == 0 && i < count; i++) {
        rc = control("arena.", i, ".extent_hooks", NULL, sizeof(ours), &ours);
        if (rc == 0)
            account_arena_made(i);
        else if (rc == -EFAULT && i > 0)
            rc = 0;
    }
    return rc;
}

/* Takes what the first arena holds in reserve into use, the largest pieces first, and purges it: so
 * it goes through the decommit hook once, and is as uncommitted as all other reserve. */
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
    (void)control("arena.", 0, ".purge", NULL, 0, NULL);
}

int hooks_install(void)
{
    uint64_t epoch = 1;
    size_t retained = 0, active = 0, page = 0, len = sizeof(page);
    int rc = install_on_all();
    if (rc != 0)
        return rc;
    (void)je_mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    (void)je_mallctl("arenas.page", &page, &len, NULL, 0);
    (void)control("stats.arenas.", 0, ".retained", &retained, sizeof(retained), NULL);
    (void)control("stats.arenas.", 0, ".pactive", &active, sizeof(active), NULL);
    account_add((int64_t)(retained + active * page));
    cycle_reserve(retained, page);
    return 0;
}
