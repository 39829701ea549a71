/*
 * A library that asks for CPUs and memory before the allocator's constructor has run, as one does
 * that starts a pool when it is loaded: linked after the allocator, and so set up before it.
 */
#include <errno.h>
#include <sys/sysinfo.h>
#include <unistd.h>

long early_cpus, early_cpus_again, early_pages;
int early_errno;

__attribute__((constructor(101))) static void begin(void)
{
    errno = E2BIG;
    early_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    early_cpus_again = get_nprocs_conf();
    early_pages = sysconf(_SC_PHYS_PAGES);
    early_errno = errno;
}
