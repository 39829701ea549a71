/* A program with a malloc family of its own, except reallocarray(3), which must be made of its
 * realloc. With FROM_ARCHIVE the family is that of another allocator linked into the program. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef FROM_ARCHIVE
static int is_own(const void *ptr)
{
    return ptr != NULL;
}
#else
enum { HEADER = 16 };

static _Alignas(4096) char pool[8 << 20];
static size_t used = HEADER;

static int is_own(const void *ptr)
{
    return (const char *)ptr >= pool && (const char *)ptr < pool + sizeof(pool);
}

void *malloc(size_t size)
{
    if (size > sizeof(pool) - used - 2 * HEADER) {
        errno = ENOMEM;
        return NULL;
    }
    char *p = pool + used + HEADER;
    memcpy(p - HEADER, &size, sizeof(size));
    used += HEADER + (size + HEADER - 1) / HEADER * HEADER;
    return p;
}

void free(void *ptr)
{
    if (ptr != NULL && !is_own(ptr))
        abort();
}

void *calloc(size_t count, size_t size)
{
    void *p = malloc(count * size);
    return p == NULL ? NULL : memset(p, 0, count * size);
}

void *realloc(void *ptr, size_t size)
{
    size_t before = 0;
    char *p = malloc(size);
    if (ptr != NULL && p != NULL) {
        if (!is_own(ptr))
            abort();
        memcpy(&before, (char *)ptr - HEADER, sizeof(before));
        memcpy(p, ptr, before < size ? before : size);
    }
    return p;
}

#endif

int main(void)
{
    int *p = malloc(40);
    p[3] = 7;
    p = reallocarray(p, 1000, sizeof(*p));
    if (p == NULL || p[3] != 7 || !is_own(p))
        return 1;
    p = reallocarray(p, 2000, sizeof(*p));
    if (p == NULL || p[3] != 7 || !is_own(p))
        return 2;
    errno = 0;
    if (reallocarray(p, SIZE_MAX, 2) != NULL || errno != ENOMEM)
        return 3;
    free(p);
    puts("done");
    return 0;
}
