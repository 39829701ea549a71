/* Reserving, taking and giving back pages, see pages.h. */
#include "pages.h"

#include "account.h"
#include "sys.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

/* Written once, before anything is reserved. */
static bool avoid_huge_pages;

/* jemalloc reserves ever larger pieces. From this size on it is worth checking whether the kernel
 * would bring all of it into memory (mlockall). */
static const size_t seldom_reserved = (size_t)(2 * MiB);

/* Written wherever pages are given back, read by looks. Relaxed: only a count. */
static _Atomic uint64_t refused;

/* All that was reserved lies in between. Relaxed: nobody searches what is only just being
 * reserved. */
static struct {
    _Atomic uintptr_t not_begin, end; /* not_begin is ~begin: so both only grow */
} span;

static _Thread_local uint64_t given_back __attribute__((tls_model("initial-exec")));

void pages_avoid_huge(bool avoid)
{
    avoid_huge_pages = avoid;
}

static void raise(_Atomic uintptr_t *at, uintptr_t to)
{
    uintptr_t now = atomic_load_explicit(at, memory_order_relaxed);
    while (now < to && !atomic_compare_exchange_weak_explicit(at, &now, to, memory_order_relaxed,
                                                              memory_order_relaxed))
        ;
}

void pages_span(uintptr_t *ret_begin, uintptr_t *ret_end)
{
    *ret_begin = ~atomic_load_explicit(&span.not_begin, memory_order_relaxed);
    *ret_end = atomic_load_explicit(&span.end, memory_order_relaxed);
}

void *pages_reserve(void *addr, size_t size, size_t alignment, const bool *commit)
{
    void *p = size > seldom_reserved && sys_maps_locked() ? sys_map_on_fault(addr, size, alignment)
                                                          : sys_map(addr, size, alignment);
    if (p == NULL) {
        errno = ENOMEM; /* as mmap would: jemalloc's realloc relies on it */
        return NULL;
    }
    if (addr != NULL && p != addr) { /* jemalloc wants this very place */
        sys_unmap(p, size);
        return NULL;
    }
    if (avoid_huge_pages)
        (void)sys_madvise(p, size, MADV_NOHUGEPAGE);
    if (*commit)
        account_add((int64_t)size);
    raise(&span.not_begin, ~(uintptr_t)p);
    raise(&span.end, (uintptr_t)p + size);
    return p;
}

void pages_take(size_t size)
{
    account_add((int64_t)size);
}

int pages_give_back(void *addr, size_t size)
{
    int rc = sys_drop_pages(addr, size);
    if (rc != 0) {
        atomic_fetch_add_explicit(&refused, size, memory_order_relaxed);
        return rc;
    }
    account_add(-(int64_t)size);
    given_back += size;
    return 0;
}

int pages_renew(void *addr, size_t size)
{
    return sys_madvise(addr, size, MADV_DONTNEED);
}

uint64_t pages_refused(void)
{
    return atomic_load_explicit(&refused, memory_order_relaxed);
}

uint64_t pages_given_back(void)
{
    return given_back;
}
