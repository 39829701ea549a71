/* Address space and pages, see sys.h. */
#include "sys_internal.h"

#include <stdatomic.h>
#include <sys/mman.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

static void *map_raw(void *hint, size_t len, int prot)
{
    /* Only reserved: we map far more than is touched, and the kernel must not count that as
     * promised. */
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    long p = SYS_CALL(SYS_mmap, hint, len, prot, flags, -1, 0L);
    return p < 0 && p > -4096 ? NULL : (void *)p;
}

static void *map_aligned(void *hint, size_t len, size_t align, int prot)
{
    char *p = map_raw(hint, len, prot);
    if (p == NULL || ((uintptr_t)p & (align - 1)) == 0)
        return p;
    sys_unmap(p, len);
    if (len > SIZE_MAX - align)
        return NULL;
    p = map_raw(NULL, len + align, prot);
    if (p == NULL)
        return NULL;
    size_t lead = (size_t)(-(uintptr_t)p & (align - 1));
    if (lead > 0)
        sys_unmap(p, lead);
    if (align > lead)
        sys_unmap(p + lead + len, align - lead);
    return p + lead;
}

void *sys_map(void *hint, size_t len, size_t align)
{
    return map_aligned(hint, len, align, PROT_READ | PROT_WRITE);
}

/* A new page tells: MADV_DONTNEED is refused for locked ones. */
bool sys_maps_locked(void)
{
    const size_t page = 4096;
    void *p = sys_map(NULL, page, 1);
    if (p == NULL)
        return false;
    bool locked = sys_madvise(p, page, MADV_DONTNEED) == -EINVAL;
    sys_unmap(p, page);
    return locked;
}

int sys_make_accessible(void *addr, size_t len)
{
    return (int)SYS_CALL(SYS_mprotect, addr, len, (long)(PROT_READ | PROT_WRITE));
}

/* The kernel brings in no pages that may not be accessed, nor, with MLOCK_ONFAULT, when they become
 * accessible: only as they are touched. */
void *sys_map_on_fault(void *hint, size_t len, size_t align)
{
    void *p = map_aligned(hint, len, align, PROT_NONE);
    if (p == NULL)
        return NULL;
    long locked = SYS_CALL(SYS_mlock2, p, len, MLOCK_ONFAULT);
    if (sys_make_accessible(p, len) != 0) {
        sys_unmap(p, len);
        return NULL;
    }
    if (locked != 0) /* no right to lock any more */
        (void)sys_drop_pages(p, len);
    return p;
}

char *sys_map_guarded(size_t guard, size_t len)
{
    char *p = map_aligned(NULL, guard + len, guard, PROT_NONE);
    if (p == NULL || sys_make_accessible(p + guard, len) == 0)
        return p;
    sys_unmap(p, guard + len);
    return NULL;
}

int sys_map_over(void *addr, size_t len)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    long p = SYS_CALL(SYS_mmap, addr, len, (long)(PROT_READ | PROT_WRITE), flags, -1, 0L);
    return p < 0 && p > -4096 ? (int)p : 0;
}

void sys_unmap(void *addr, size_t len)
{
    (void)SYS_CALL(SYS_munmap, addr, len);
}

int sys_madvise(void *addr, size_t len, int advice)
{
    int rc, tries = 8; /* "temporarily unavailable": a page not given back is not asked for again */
    do
        rc = (int)SYS_RETRY(SYS_madvise, addr, len, advice);
    while (rc == -EAGAIN && --tries > 0);
    return rc;
}

/* Emulators may not know that advice and still report success: pages would then be given out as
 * zeroed that are not. So it is tried on a page. */
static bool drops_locked_pages(void)
{
    const size_t page = 4096;
    static _Atomic int known; /* 1: yes, -1: no */
    int found = atomic_load_explicit(&known, memory_order_relaxed);
    volatile char *p = found == 0 ? sys_map(NULL, page, 1) : NULL;
    if (p == NULL)
        return found > 0;
    *p = 1;
    found = sys_madvise((void *)(uintptr_t)p, page, MADV_DONTNEED_LOCKED) == 0 && *p == 0 ? 1 : -1;
    sys_unmap((void *)(uintptr_t)p, page);
    atomic_store_explicit(&known, found, memory_order_relaxed);
    return found > 0;
}

int sys_drop_pages(void *addr, size_t len)
{
    int rc = sys_madvise(addr, len, MADV_DONTNEED);
    return rc == -EINVAL && drops_locked_pages() ? sys_madvise(addr, len, MADV_DONTNEED_LOCKED)
                                                 : rc;
}
