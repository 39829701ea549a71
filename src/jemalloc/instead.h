/* What the files share whose functions jemalloc calls in place of its own, see prefix. */
#ifndef PLIM_JEMALLOC_INSTEAD_H
#define PLIM_JEMALLOC_INSTEAD_H

#include "../base.h"

#include <stdatomic.h>

/* Names the function that jemalloc calls in place of its own `name`. */
#define INSTEAD(name) __asm__("plim_je_" #name)

#endif
