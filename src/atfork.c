/*
 * What pthread_atfork(3) in any library calls. Handlers run before a fork in the reverse order of
 * their registration, and take locks under which others allocate: so the allocator's must be
 * registered before those of any library's constructor, which may come before ours.
 */
#include "runtime.h"

#include <dlfcn.h>
#include <errno.h>

typedef void handler_fn(void);
typedef int register_fn(handler_fn *prepare, handler_fn *parent, handler_fn *child, void *object);

register_fn __register_atfork; /* as the C library has it; no header does */

PLIM_EXPORT int __register_atfork(handler_fn *prepare, handler_fn *parent, handler_fn *child,
                                  void *object)
{
    register_fn *next = (register_fn *)dlsym(RTLD_NEXT, "__register_atfork");
    if (next == NULL)
        return ENOSYS;
    fork_begin();
    return next(prepare, parent, child, object);
}
