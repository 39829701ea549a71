/*
 * C++ operator new and delete, by their mangled names (Itanium ABI, size_t = unsigned long).
 *
 * Failure belongs to C++: it is handed over to the next operator new (libstdc++'s or libc++'s),
 * which calls malloc again, then new-handlers, and throws. A static program has no next one; there
 * the handler and the throw are called by name.
 */
#include "je.h"
#include "log.h"

#include <dlfcn.h>
#include <stdlib.h>

typedef struct nothrow_tag nothrow_tag;
typedef void handler_fn(void);

/* std::get_new_handler() and std::__throw_bad_alloc(), where libstdc++ is in the program. */
extern handler_fn *get_new_handler(void) __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
extern _Noreturn void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv")
    __attribute__((weak));

/* The operator of that name behind ours. A plug-in may have loaded its C++ library later, for
 * itself alone, or contain it: then the operator is found through the plug-in, which has called
 * us. */
static void *next_operator(const char *name, void *caller)
{
#ifdef PLIM_STATIC
    (void)name, (void)caller;
    return NULL;
#else
    Dl_info info;
    void *next = dlsym(RTLD_NEXT, name);
    if (next != NULL || dladdr(caller, &info) == 0)
        return next;
    void *lib = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (lib != NULL) {
        next = dlsym(lib, name);
        dlclose(lib); /* stays loaded: our caller is in it */
    }
    return next != dlsym(RTLD_DEFAULT, name) ? next : NULL; /* not ourselves again */
#endif
}

/* What the standard says operator new does; align 0: the default. */
static void *new_by_the_book(size_t size, size_t align, bool nothrow)
{
    for (;;) {
        void *p = align == 0 ? malloc(size) : aligned_alloc(align, size);
        if (p != NULL)
            return p;
        handler_fn *handler = get_new_handler != NULL ? get_new_handler() : NULL;
        if (handler == NULL)
            break;
        handler();
    }
    if (nothrow)
        return NULL;
    if (throw_bad_alloc != NULL)
        throw_bad_alloc();
    log_line(LOG_ERROR, "operator new: out of memory, and no C++ library to tell");
    abort();
}

static PLIM_COLD void *new_failed(const char *name, void *caller, size_t size)
{
    void *(*next)(size_t) = (void *(*)(size_t))next_operator(name, caller);
    return next != NULL ? next(size) : new_by_the_book(size, 0, false);
}

/* libstdc++'s operator rounds the size up to the alignment, which may overflow to 0. So a size that
 * cannot be had anyway becomes one that rounding does not change. */
static size_t round_size(size_t size)
{
    return size > PTRDIFF_MAX ? (size_t)PTRDIFF_MAX + 1 : size;
}

static PLIM_COLD void *new_failed_aligned(const char *name, void *caller, size_t size, size_t align)
{
    void *(*next)(size_t, size_t) = (void *(*)(size_t, size_t))next_operator(name, caller);
    return next != NULL ? next(round_size(size), align) : new_by_the_book(size, align, false);
}

/*
 * A program may define only plain operators of its own, and the others must then call those (C++
 * [new.delete]): its blocks may have headers, or be counted. `is_own_...`: whether the plain one
 * that is found is ours.
 */
#define IS_OWN(is_own, operator, ret, ...)                                                         \
    PLIM_EXPORT ret operator(__VA_ARGS__);                                                         \
    extern PLIM_HIDDEN ret own##operator(__VA_ARGS__) __attribute__((alias(#operator)));           \
    static inline bool is_own(void)                                                                \
    {                                                                                              \
        ret (*found)(__VA_ARGS__) = operator;                                                      \
        __asm__("" : "+r"(found)); /* or the compiler would assume the answer */                   \
        return likely(found == own##operator);                                                     \
    }
IS_OWN(is_own_new, _Znwm, void *, size_t)
IS_OWN(is_own_aligned_new, _ZnwmSt11align_val_t, void *, size_t, size_t)
IS_OWN(is_own_delete, _ZdlPv, void, void *)
IS_OWN(is_own_aligned_delete, _ZdlPvSt11align_val_t, void, void *, size_t)

#define CALLER __builtin_return_address(0)

/* One operator: its name, its arguments, how it allocates, what takes over on failure. */
#define OPERATOR_NEW(name, params, allocate, ...)                                                  \
    PLIM_EXPORT void *name params;                                                                 \
    PLIM_EXPORT void *name params                                                                  \
    {                                                                                              \
        void *p = allocate;                                                                        \
        return likely(p != NULL) ? p : __VA_ARGS__;                                                \
    }

OPERATOR_NEW(_Znwm, (size_t size), malloc(size), new_failed("_Znwm", CALLER, size))
OPERATOR_NEW(_Znam, (size_t size), is_own_new() ? malloc(size) : _Znwm(size),
             new_failed("_Znam", CALLER, size))
OPERATOR_NEW(_ZnwmSt11align_val_t, (size_t size, size_t align), aligned_alloc(align, size),
             new_failed_aligned("_ZnwmSt11align_val_t", CALLER, size, align))
OPERATOR_NEW(_ZnamSt11align_val_t, (size_t size, size_t align),
             is_own_aligned_new() ? aligned_alloc(align, size) : _ZnwmSt11align_val_t(size, align),
             new_failed_aligned("_ZnamSt11align_val_t", CALLER, size, align))

#ifndef PLIM_STATIC /* the C++ library's do as well there: they call the plain ones */
/* Also for the program's own operator: only C++ can catch what that throws. */
static PLIM_COLD void *new_elsewhere_nothrow(const char *name, void *caller, size_t size,
                                             const nothrow_tag *tag)
{
    void *(*next)(size_t, const nothrow_tag *) =
        (void *(*)(size_t, const nothrow_tag *))next_operator(name, caller);
    if (next != NULL)
        return next(size, tag);
    return is_own_new() ? new_by_the_book(size, 0, true) : _Znwm(size);
}

static PLIM_COLD void *new_elsewhere_aligned_nothrow(const char *name, void *caller, size_t size,
                                                     size_t align, const nothrow_tag *tag)
{
    void *(*next)(size_t, size_t, const nothrow_tag *) =
        (void *(*)(size_t, size_t, const nothrow_tag *))next_operator(name, caller);
    if (next != NULL)
        return next(round_size(size), align, tag);
    return is_own_aligned_new() ? new_by_the_book(size, align, true)
                                : _ZnwmSt11align_val_t(size, align);
}

#define NOTHROW(name)                                                                              \
    OPERATOR_NEW(name, (size_t size, const nothrow_tag *tag), is_own_new() ? malloc(size) : NULL,  \
                 new_elsewhere_nothrow(#name, CALLER, size, tag))
#define ALIGNED_NOTHROW(name)                                                                      \
    OPERATOR_NEW(name, (size_t size, size_t align, const nothrow_tag *tag),                        \
                 is_own_aligned_new() ? aligned_alloc(align, size) : NULL,                         \
                 new_elsewhere_aligned_nothrow(#name, CALLER, size, align, tag))
NOTHROW(_ZnwmRKSt9nothrow_t)
NOTHROW(_ZnamRKSt9nothrow_t)
ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)
#endif

/* One operator delete: whether it is ours to answer, what theirs is, how ours frees. A size that
 * the caller knows saves jemalloc a look-up. */
#define OPERATOR_DELETE(name, params, is_ours, theirs, release)                                    \
    PLIM_EXPORT void name params;                                                                  \
    PLIM_EXPORT void name params                                                                   \
    {                                                                                              \
        if (!(is_ours))                                                                            \
            theirs;                                                                                \
        else if (ptr != NULL)                                                                      \
            release;                                                                               \
    }

/* aligned_alloc takes a size of 0 for 1, jemalloc's sized free for less than the alignment. */
static inline void release_aligned(void *ptr, size_t size, size_t align)
{
    je_sdallocx(ptr, size + (size == 0), JE_ALIGN(align));
}

#define UNUSED __attribute__((unused))
#define PLAIN(name, params, release)                                                               \
    OPERATOR_DELETE(name, params, is_own_delete(), _ZdlPv(ptr), release)
#define ALIGNED(name, params, release)                                                             \
    OPERATOR_DELETE(name, params, is_own_aligned_delete(), _ZdlPvSt11align_val_t(ptr, align),      \
                    release)
OPERATOR_DELETE(_ZdlPv, (void *ptr), true, (void)0, je_free(ptr))
PLAIN(_ZdaPv, (void *ptr), je_free(ptr))
PLAIN(_ZdlPvRKSt9nothrow_t, (void *ptr, UNUSED const nothrow_tag *tag), je_free(ptr))
PLAIN(_ZdaPvRKSt9nothrow_t, (void *ptr, UNUSED const nothrow_tag *tag), je_free(ptr))
PLAIN(_ZdlPvm, (void *ptr, size_t size), je_sdallocx_noflags(ptr, size))
PLAIN(_ZdaPvm, (void *ptr, size_t size), je_sdallocx_noflags(ptr, size))
OPERATOR_DELETE(_ZdlPvSt11align_val_t, (void *ptr, UNUSED size_t align), true, (void)0,
                je_free(ptr))
ALIGNED(_ZdaPvSt11align_val_t, (void *ptr, size_t align), je_free(ptr))
ALIGNED(_ZdlPvSt11align_val_tRKSt9nothrow_t,
        (void *ptr, size_t align, UNUSED const nothrow_tag *tag), je_free(ptr))
ALIGNED(_ZdaPvSt11align_val_tRKSt9nothrow_t,
        (void *ptr, size_t align, UNUSED const nothrow_tag *tag), je_free(ptr))
ALIGNED(_ZdlPvmSt11align_val_t, (void *ptr, size_t size, size_t align),
        release_aligned(ptr, size, align))
ALIGNED(_ZdaPvmSt11align_val_t, (void *ptr, size_t size, size_t align),
        release_aligned(ptr, size, align))
