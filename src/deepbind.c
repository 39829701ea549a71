/*
 * dlopen(3) without RTLD_DEEPBIND, which PHP before 8.5 loads its extensions with.
 *
 * With it a plug-in finds the C library's free() before ours, and the program's blocks, which are
 * ours, go there: it crashes at the first one. No preloaded malloc lives with that. A plug-in that
 * is loaded with names of its own that others have too gets theirs instead.
 *
 * What else dlopen does depends on who calls it (search paths, $ORIGIN, the namespace), which the C
 * library tells by the return address: so the real one must be jumped to, not called.
 */
#include "base.h"

#include <dlfcn.h>
#include <stdatomic.h>

typedef void *open_fn(const char *file, int mode);

/* Also in a build that is not optimized, or is instrumented. */
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
    static _Atomic(open_fn *) found; /* whoever finds it finds the same */
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
