/*
 * One line on stderr, in one write, without stdio: "plimsoll: " and the text.
 */
#ifndef PLIM_LOG_H
#define PLIM_LOG_H

#include "fmt.h"
#include "options.h"

void log_set_level(enum log_level level);
bool log_wanted(enum log_level level);
void log_line(enum log_level level, const char *text);
/* A directory that the user named cannot be used: "NAME: bad value "DIR" (why), expected a
 * directory to write to; <instead>". rc: -errno. */
void log_bad_directory(const char *name, const char *dir, int rc, const char *instead);

#endif
