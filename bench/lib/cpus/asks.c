/*
 * What gcc's OpenMP and glibc make of the machine: asks openmp|qsort
 *   openmp  omp_get_num_procs()
 *   qsort   MiB that qsort(3) takes beside the 160 MiB that it sorts: it sorts in place whatever
 *           is larger than a quarter of the memory that glibc believes in
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SIZE = 160 << 20, ITEM = 32 };

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, 8);
}

static long peak_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss >> 10;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "openmp") == 0) {
        printf("%d\n", omp_get_num_procs());
        return 0;
    }
    unsigned char *items = malloc(SIZE);
    if (items == NULL)
        return 1;
    for (size_t i = 0; i < SIZE; i += sizeof(unsigned))
        memcpy(items + i, &(unsigned){(unsigned)i * 2654435761u}, sizeof(unsigned));
    long before = peak_mib();
    qsort(items, SIZE / ITEM, ITEM, compare);
    printf("%ld\n", peak_mib() - before);
    free(items);
    return 0;
}
