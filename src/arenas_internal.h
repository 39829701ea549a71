/* What arenas*.c share: jemalloc's controls by name, and as numbers. */
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
/* "PREFIX<arena>SUFFIX": reads it, or where ret is NULL calls an action or writes a value. */
int arena_control(const char *prefix, unsigned arena, const char *suffix, void *ret, size_t len,
                  const void *value);
/* Stops at the first control that is missing. */
struct mib_name {
    const char *name;
    struct mib *ret;
};
int mibs_find(const struct mib_name *names, size_t count);
/* Calls an action or writes a value; the index, where there is one, is the mib's second part. */
int mib_write(const struct mib *m, unsigned arena, const void *value, size_t len);
int mib_read(const struct mib *m, void *ret, size_t len);

/* "stats.arenas.<arena>NAME"; 0 if it cannot be read. */
size_t arena_statistic(unsigned arena, const char *name);
/* Brings jemalloc's statistics up to date; only then does it know new arenas by their index. */
void arenas_refresh(void);
/* Perhaps not all arenas coalesce as was wanted last: the next arenas_coalesce() goes to all. */
void arenas_unsettle(void);

/* Gives all automatic arenas our hooks, where they need them. What the first one took before counts
 * as committed from now on: its being given back will be counted. 0 or -errno. */
int arenas_install_hooks(size_t page);

/* `automatic`: how many arenas threads share. Call once jemalloc has that setting. 0 or -errno. */
int decay_init(unsigned automatic);
/* An arena is new: it gets the decay time of the others, unless the program has chosen one for it.
 * Under the look lock. */
void decay_begin(unsigned arena);

#endif
