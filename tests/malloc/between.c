/* A library that gives libc's answers itself, with recognisable numbers; preloaded after the
 * allocator. */
#include <sys/sysinfo.h>
#include <unistd.h>

long sysconf(int name)
{
    return 1000 + name;
}

int get_nprocs(void)
{
    return 2001;
}

int get_nprocs_conf(void)
{
    return 2002;
}

long get_phys_pages(void)
{
    return 2003;
}
