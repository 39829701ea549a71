/*
 * What puts the library into a program: where libplimsoll.so is, and the environment with it.
 */
#ifndef PLIM_CMD_PRELOAD_H
#define PLIM_CMD_PRELOAD_H

#include "../base.h"

/*
 * The library to preload, as an absolute path: `given` if not NULL, else beside the command, in the
 * build tree around it, in lib beside its directory (one that another user put there is passed by),
 * or where it was installed to. 0 or -errno: -ENOENT there is none, -EINVAL the dynamic linker
 * cannot take that path (blank or colon in it), -ELIBBAD `given` is no shared library of this
 * machine.
 */
int preload_find(const char *given, char *path, size_t len);

/*
 * A copy of env with the library in front of LD_PRELOAD, and with PLIMSOLL_LIMIT set if limit is
 * not NULL. From the heap, to be given to exec; NULL where there is no memory.
 */
char **preload_environment(char *const *env, const char *library, const char *limit);

/*
 * Has the dynamic linker load the library into this very command. 0, -ELIBBAD and its complaint in
 * `why`, or another -errno.
 */
int preload_try(const char *library, char *why, size_t len);

#endif
