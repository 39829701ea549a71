/* jemalloc's heap profiles, see heap_profile.h. */
#include "heap_profile.h"

#include "fmt.h"
#include "je.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/auxv.h>

/* jemalloc's prof_backtrace_hook_t: fills stack with at most `room` return addresses, innermost
 * first. */
typedef void backtrace_fn(void **stack, unsigned *len, unsigned room);

/* jemalloc's own function; set once, before our hook is first called. */
static backtrace_fn *unwind;

/* Bounds of the shared library's code; of the whole program's where the library is linked in. */
extern const char __ehdr_start[] PLIM_HIDDEN, etext[] PLIM_HIDDEN;

static bool is_ours(const void *address)
{
    return (uintptr_t)address >= (uintptr_t)__ehdr_start && (uintptr_t)address < (uintptr_t)etext;
}

/*
 * Leaves out this library's frames, so that the innermost one is the caller that asked for memory.
 * Readers drop an allocator's frames up to one called malloc, but ours is gone by then: it ends in
 * a jump.
 */
static void backtrace(void **stack, unsigned *len, unsigned room)
{
    unwind(stack, len, room);
    unsigned ours = 0;
    while (ours < *len && is_ours(stack[ours]))
        ours++;
    if (ours == 0 || ours == *len)
        return;
    for (unsigned i = ours; i < *len; i++)
        stack[i - ours] = stack[i];
    *len -= ours;
}

void heap_profile_begin(void)
{
    backtrace_fn *hook = backtrace;
    size_t len = sizeof(unwind);
    bool linked_in = is_ours((const void *)getauxval(AT_PHDR));
    if (!heap_profile_is_on() || linked_in)
        return;
    if (je_mallctl("experimental.hooks.prof_backtrace", &unwind, &len, NULL, 0) == 0)
        (void)je_mallctl("experimental.hooks.prof_backtrace", NULL, NULL, &hook, sizeof(hook));
}

bool heap_profile_is_on(void)
{
    bool on = false;
    size_t len = sizeof(on);
    return je_mallctl("opt.prof", &on, &len, NULL, 0) == 0 && on;
}

int heap_profile_write(const char *path)
{
    if (!heap_profile_is_on())
        return -ENOTSUP;
    return je_mallctl("prof.dump", NULL, NULL, &path, sizeof(path)) == 0 ? 0 : -EIO;
}

/* jemalloc opens the file by its name, and would follow a link: it gets the name of a descriptor
 * that is open already. */
int heap_profile_write_new(const char *path)
{
    char name[48];
    struct fmt f = FMT_INIT(name);
    if (!heap_profile_is_on())
        return -ENOTSUP;
    struct sys_file file; /* the program may close it meanwhile */
    int fd = sys_create(path);
    int rc = fd < 0 ? fd : sys_file_adopt(&file, fd);
    if (rc < 0)
        return rc;
    fmt_str(&f, SYS_OWN_FILE("fd/"));
    fmt_i64(&f, file.fd_plus_1 - 1);
    rc = heap_profile_write(name);
    sys_file_close(&file);
    if (rc < 0)
        (void)sys_unlink(path); /* it would be in the next profile's way */
    return rc;
}
