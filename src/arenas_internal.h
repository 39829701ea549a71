/* What arenas.c and arenas_decay.c share: jemalloc's controls as numbers. */
#ifndef PLIM_ARENAS_INTERNAL_H
#define PLIM_ARENAS_INTERNAL_H

#include "account.h"
#include "arenas.h"

#include <stdatomic.h>

enum { MIB_MAX = 6 };

struct mib {
    size_t at[MIB_MAX];
    size_t len;
};

/* All: 0 or -errno. */
int control_read(const char *name, void *ret, size_t len);
int mib_find(const char *name, struct mib *ret);
/* The first that is not to be had ends it. */
struct mib_name {
    const char *name;
    struct mib *ret;
};
int mibs_find(const struct mib_name *names, size_t count);
/* Calls an action or writes a value; the index, where there is one, is the mib's second part. */
int mib_write(const struct mib *m, unsigned arena, const void *value, size_t len);
int mib_read(const struct mib *m, void *ret, size_t len);

/* After jemalloc has been told how many arenas threads share. 0 or -errno. */
int decay_init(unsigned automatic);
/* An arena is new: it gets the decay time of the others, unless the program has chosen one for it.
 * Under the look lock. */
void decay_begin(unsigned arena);

#endif
