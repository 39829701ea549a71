/* What options*.c share, see options.h. */
#ifndef PLIM_OPTIONS_INTERNAL_H
#define PLIM_OPTIONS_INTERNAL_H

#include "options.h"

/* All our names begin so; in all but one "_" and a part of its own follow. */
#define OPTIONS_PREFIX "PLIMSOLL"

/* An absolute path that is short enough, without a slash at its end; 0 or -EINVAL. */
int options_path(const char *value, char ret[OPTION_PATH_MAX]);

/* One line each, as options_parse() promises it. */
void options_bad_value(enum option_id id, const char *value, options_complain_fn *complain,
                       void *arg);
/* name: its first `len` bytes. */
void options_bad_name(const char *name, size_t len, const char *value,
                      options_complain_fn *complain, void *arg);

#endif
