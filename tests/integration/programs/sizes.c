/*
 * What the C library says of the machine, by every call there is, again and again.
 *   sizes [--hold-mib 0] [--once]
 *     --hold-mib  allocates and writes this much memory first
 *     --once      prints one set and ends
 * CPUs: onln= conf= nprocs= nprocs_conf= affinity=. Memory in KiB: phys= phys_fn= total= (the same
 * thing by sysconf, get_phys_pages and sysinfo), avphys= avphys_fn= free=, swap= swap_free=;
 * kernel_* as the system call has it, past all libraries; errno_kept=1: no call changed it. Each
 * set ends with sets=N.
 */
#include "workload.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static void print_cpus(void)
{
    cpu_set_t mask;
    CPU_ZERO(&mask);
    sched_getaffinity(0, sizeof(mask), &mask);
    printf("onln=%ld conf=%ld nprocs=%d nprocs_conf=%d affinity=%d\n",
           sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF), get_nprocs(),
           get_nprocs_conf(), CPU_COUNT(&mask));
}

static unsigned long kib(const struct sysinfo *info, unsigned long units)
{
    return units * info->mem_unit / 1024;
}

static void print_memory(void)
{
    long page = sysconf(_SC_PAGESIZE) / 1024;
    struct sysinfo seen, kernel;
    if (sysinfo(&seen) != 0 || syscall(SYS_sysinfo, &kernel) != 0)
        die("sysinfo");
    printf("phys=%ld phys_fn=%ld total=%lu avphys=%ld avphys_fn=%ld free=%lu\n",
           sysconf(_SC_PHYS_PAGES) * page, get_phys_pages() * page, kib(&seen, seen.totalram),
           sysconf(_SC_AVPHYS_PAGES) * page, get_avphys_pages() * page, kib(&seen, seen.freeram));
    printf("swap=%lu swap_free=%lu shared=%lu buffers=%lu\n", kib(&seen, seen.totalswap),
           kib(&seen, seen.freeswap), kib(&seen, seen.sharedram), kib(&seen, seen.bufferram));
    printf("kernel_total=%lu kernel_free=%lu kernel_swap=%lu\n", kib(&kernel, kernel.totalram),
           kib(&kernel, kernel.freeram), kib(&kernel, kernel.totalswap));
}

/* Never freed, so that free memory is asked for with some memory in use. */
static void hold(size_t mib)
{
    char *block = mib > 0 ? malloc(mib << 20) : NULL;
    if (mib > 0 && !block)
        die("malloc failed");
    if (block)
        memset(block, 1, mib << 20);
    __asm__ volatile("" : : "r"(block) : "memory");
}

static bool errno_is_kept(void)
{
    struct sysinfo info;
    errno = E2BIG;
    (void)sysconf(_SC_NPROCESSORS_ONLN), (void)sysconf(_SC_NPROCESSORS_CONF);
    (void)sysconf(_SC_PHYS_PAGES), (void)sysconf(_SC_AVPHYS_PAGES);
    (void)get_nprocs(), (void)get_nprocs_conf(), (void)get_phys_pages(), (void)get_avphys_pages();
    (void)sysinfo(&info);
    return errno == E2BIG;
}

int main(int argc, char **argv)
{
    bool kept = errno_is_kept(); /* the first calls that the program makes */
    hold((size_t)option_number(argc, argv, "hold-mib", 0));
    for (unsigned set = 1;; set++) {
        print_cpus();
        print_memory();
        kept = kept && errno_is_kept();
        printf("errno_kept=%d sets=%u\n", kept, set);
        fflush(stdout);
        if (option_given(argc, argv, "once"))
            return 0;
        sleep_s(0.02);
    }
}
