/*
 * dlopen(3) without RTLD_DEEPBIND. PHP before 8.5 loads its extensions with that flag.
 *
 * With it a plug-in finds the C library's free() before ours and passes it blocks of the program
 * that are ours: it crashes at the first one. No preloaded malloc works with that. The price: where
 * a plug-in and another library define the same name, the plug-in gets the other's.
 *
 * What dlopen does depends on its caller (search paths, $ORIGIN, the namespace), which the C
 * library finds by the return address: so the real one must be jumped to, not called.
 */
#include "base.h"

#include <dlfcn.h>
#include <stdatomic.h>

typedef void *open_fn(const char *file, int mode);

/* Makes it a jump even in a build that is not optimized, or is instrumented. */
#if __has_attribute(musttail)
#define JUMP_TO __attribute__((musttail)) return
#define JUMPS
#else
#define JUMP_TO return
#define JUMPS                                                                                      \
    __attribute__((optimize("O2", "optimize-sibling-calls"), no_sanitize("thread"),                \
                   no_profile_instrument_function))
#endif

static open_fn *next_dlopen(void)
{
    static _Atomic(open_fn *) found; /* every thread finds the same */
    open_fn *next = atomic_load_explicit(&found, memory_order_relaxed);
    if (next == NULL) {
        next = (open_fn *)dlsym(RTLD_NEXT, "dlopen");
        atomic_store_explicit(&found, next, memory_order_relaxed);
    }
    return next;
}

PLIM_EXPORT JUMPS void *dlopen(const char *file, int mode)
{
    open_fn *next = next_dlopen();
    JUMP_TO next(file, mode & ~RTLD_DEEPBIND);
}
