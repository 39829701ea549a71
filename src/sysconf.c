/*
 * What libc says of the machine, brought down to the cgroup where PLIMSOLL_REPORT asks for it:
 * sysconf(3), get_nprocs(3), get_phys_pages(3), sysinfo(2).
 *
 * All else, and everything without the option, is left to the function that would have been called
 * without this library: the next one in the search order, libc's or that of a library in between.
 * It is looked up once, by the constructor: later would be too late for signal handlers, which may
 * call sysconf(3), and earlier may be in the middle of the first malloc. Until then, and in a
 * static program, libc's functions are called by names that no library replaces.
 *
 * sched_getaffinity(2) is left alone: programs that pin threads, or undo a change, hand its result
 * back to sched_setaffinity(2), and a smaller set would bind them for good.
 */
#include "capacity.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* libc's own, under the name that it exports for itself. */
extern long __sysconf(int name); // NOLINT(bugprone-reserved-identifier)

static int libc_nprocs(void)
{
    return (int)__sysconf(_SC_NPROCESSORS_ONLN);
}

static int libc_nprocs_conf(void)
{
    return (int)__sysconf(_SC_NPROCESSORS_CONF);
}

static long libc_phys_pages(void)
{
    return __sysconf(_SC_PHYS_PAGES);
}

static long libc_avphys_pages(void)
{
    return __sysconf(_SC_AVPHYS_PAGES);
}

static int libc_sysinfo(struct sysinfo *info)
{
    return (int)syscall(SYS_sysinfo, info);
}

/* The functions called. Written by the constructor, read by all: an old one gives the same
 * answer. */
static struct {
    long (*_Atomic sysconf)(int name);
    int (*_Atomic nprocs)(void);
    int (*_Atomic nprocs_conf)(void);
    long (*_Atomic phys_pages)(void);
    long (*_Atomic avphys_pages)(void);
    int (*_Atomic sysinfo)(struct sysinfo *info);
} next = {
    .sysconf = __sysconf,
    .nprocs = libc_nprocs,
    .nprocs_conf = libc_nprocs_conf,
    .phys_pages = libc_phys_pages,
    .avphys_pages = libc_avphys_pages,
    .sysinfo = libc_sysinfo,
};

#define NEXT(field) atomic_load_explicit(&next.field, memory_order_relaxed)

#ifndef PLIM_STATIC
#define FIND(field, name)                                                                          \
    do {                                                                                           \
        void *at_ = dlsym(RTLD_NEXT, name);                                                        \
        if (at_ != NULL)                                                                           \
            atomic_store_explicit(&next.field, (__typeof__(NEXT(field)))at_,                       \
                                  memory_order_relaxed);                                           \
    } while (0)

__attribute__((constructor(101))) static void find_next(void)
{
    FIND(sysconf, "sysconf");
    FIND(nprocs, "get_nprocs");
    FIND(nprocs_conf, "get_nprocs_conf");
    FIND(phys_pages, "get_phys_pages");
    FIND(avphys_pages, "get_avphys_pages");
    FIND(sysinfo, "sysinfo");
}
#endif

/* The host's pages, in all or free, or the group's where they are fewer. -1 stays -1. */
static long least_pages(long host_pages, bool only_free)
{
    struct memory_size group;
    if (host_pages < 0 || !capacity_reports_memory(&group))
        return host_pages;
    const uint64_t page = sys_page_size(), bytes = (uint64_t)host_pages * page;
    const struct memory_size host = {.ram = bytes, .free = bytes};
    const struct memory_size seen = limits_memory(&host, &group);
    return (long)((only_free ? seen.free : seen.ram) / page);
}

PLIM_EXPORT long sysconf(int name)
{
    switch (name) {
    case _SC_NPROCESSORS_CONF:
    case _SC_NPROCESSORS_ONLN:
        return capacity_reports_cpus() ? (long)capacity_cpus() : NEXT(sysconf)(name);
    case _SC_PHYS_PAGES:
        return least_pages(NEXT(sysconf)(name), false);
    case _SC_AVPHYS_PAGES:
        return least_pages(NEXT(sysconf)(name), true);
    default:
        return NEXT(sysconf)(name);
    }
}

PLIM_EXPORT int get_nprocs(void)
{
    return capacity_reports_cpus() ? (int)capacity_cpus() : NEXT(nprocs)();
}

PLIM_EXPORT int get_nprocs_conf(void)
{
    return capacity_reports_cpus() ? (int)capacity_cpus() : NEXT(nprocs_conf)();
}

PLIM_EXPORT long get_phys_pages(void)
{
    return least_pages(NEXT(phys_pages)(), false);
}

PLIM_EXPORT long get_avphys_pages(void)
{
    return least_pages(NEXT(avphys_pages)(), true);
}

/* Page cache counts as free here, so it is not shown as buffers as well; the host's number for
 * shared memory says nothing of the group. */
PLIM_EXPORT int sysinfo(struct sysinfo *info)
{
    struct memory_size group;
    int rc = NEXT(sysinfo)(info);
    if (rc < 0 || !capacity_reports_memory(&group))
        return rc;
    uint64_t unit = info->mem_unit > 0 ? info->mem_unit : 1;
    const struct memory_size host = {
        .ram = info->totalram * unit,
        .free = info->freeram * unit,
        .swap = info->totalswap * unit,
        .swap_free = info->freeswap * unit,
    };
    const struct memory_size seen = limits_memory(&host, &group);
    info->totalram = seen.ram / unit;
    info->freeram = seen.free / unit;
    info->totalswap = seen.swap / unit;
    info->freeswap = seen.swap_free / unit;
    if (seen.ram < host.ram)
        info->sharedram = info->bufferram = info->totalhigh = info->freehigh = 0;
    return rc;
}
