/* glibc's additions to malloc, as far as they mean something here: malloc_trim(3), mallinfo(3). */
#include "arenas.h"
#include "je.h"
#include "look.h"
#include "runtime.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>

/* Gives every free page back. 1: something went, 0: there was nothing. */
PLIM_EXPORT int malloc_trim(size_t pad)
{
    (void)pad;
    return runtime_ready() && look_purge(UINT64_MAX) > 0;
}

/* Settings of another allocator: accepted where they cannot harm, so that callers go on. */
PLIM_EXPORT int mallopt(int param, int value)
{
    (void)param, (void)value;
    return 1;
}

PLIM_EXPORT struct mallinfo2 mallinfo2(void)
{
    struct arenas_pages pages = {0};
    if (!runtime_ready())
        return (struct mallinfo2){0};
    struct look_turn turn = look_begin_unless_own(look_wait_ns); /* an arena may be about to go */
    arenas_read(&pages);
    look_end(turn);
    uint64_t live = arenas_allocated();
    return (struct mallinfo2){
        .arena = pages.committed,
        .uordblks = live,
        .fordblks = u64_less(pages.committed, live),
        .keepcost = pages.dirty,
    };
}

static int to_int(size_t v)
{
    return v > INT32_MAX ? INT32_MAX : (int)v;
}

/* As mallinfo2; counts too large for its fields read as the largest. */
PLIM_EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 m = mallinfo2();
    return (struct mallinfo){
        .arena = to_int(m.arena),
        .uordblks = to_int(m.uordblks),
        .fordblks = to_int(m.fordblks),
        .keepcost = to_int(m.keepcost),
    };
}

PLIM_EXPORT void malloc_stats(void)
{
    je_malloc_stats_print(NULL, NULL, "gmdablxe");
}

/* glibc's document with the totals only. */
PLIM_EXPORT int malloc_info(int options, FILE *stream)
{
    if (options != 0)
        return EINVAL;
    struct mallinfo2 m = mallinfo2();
    int rc = fprintf(stream,
                     "<malloc version=\"1\">\n"
                     "<total type=\"rest\" count=\"1\" size=\"%zu\"/>\n"
                     "<system type=\"current\" size=\"%zu\"/>\n"
                     "</malloc>\n",
                     m.fordblks, m.arena);
    return rc < 0 ? errno : 0;
}
