/*
 * One line on stderr, in one write, without stdio: "plimsoll: " and the text.
 *
 * A program that closes its first descriptors may get a data file or a connection as number 2. No
 * line must go there: see log_line().
 */
#ifndef PLIM_LOG_H
#define PLIM_LOG_H

#include "fmt.h"
#include "options.h"

/* Notes what file standard error is now: lines may go to it later too. */
void log_begin(void);
void log_set_level(enum log_level level);
bool log_wanted(enum log_level level);
/* Only to what stderr was at log_begin(), or what looks as if somebody made it stderr since. */
void log_line(enum log_level level, const char *text);
/* Why a file could not be made or written, in a few words. rc: -errno. */
const char *log_reason(int rc);
/* A directory that the user named cannot be used: "NAME: bad value "DIR" (why), expected a
 * directory to write to; <instead>". rc: -errno. */
void log_bad_directory(const char *name, const char *dir, int rc, const char *instead);

#endif
