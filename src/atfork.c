/*
 * Replaces what pthread_atfork(3) in any library calls. Handlers run before a fork in the reverse
 * order of registration, and take locks under which other threads allocate. So the allocator's must
 * be registered before those of any library, whose constructor may run before ours.
 */
#include "je.h"
#include "runtime.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

typedef void handler_fn(void);
typedef int register_fn(handler_fn *prepare, handler_fn *parent, handler_fn *child, void *object);

register_fn __register_atfork; /* the C library's; no header declares it */

extern char __dso_handle PLIM_HIDDEN; /* of the registering object; from the start files */

/* The C library's: behind this library, or before it where the program names libc first. */
static register_fn *find_next(void)
{
    void *next = dlsym(RTLD_NEXT, "__register_atfork");
    if (next == NULL)
        next = dlsym(RTLD_DEFAULT, "__register_atfork");
    return next != (void *)__register_atfork ? (register_fn *)next : NULL;
}

/* The allocator's own handlers: jemalloc registers its in the middle of its start, and ours cannot
 * come before that. */
static bool is_allocators(handler_fn *prepare, const void *object)
{
    Dl_info its;
    return object == &__dso_handle || (JE_NEEDS_HOOKS && dladdr((void *)prepare, &its) != 0 &&
                                       strstr(its.dli_fname, "/libjemalloc.so") != NULL);
}

PLIM_EXPORT int __register_atfork(handler_fn *prepare, handler_fn *parent, handler_fn *child,
                                  void *object)
{
    register_fn *next = find_next();
    if (next == NULL)
        return ENOSYS;
    if (!is_allocators(prepare, object))
        fork_begin();
    return next(prepare, parent, child, object);
}
