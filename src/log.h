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

#endif
