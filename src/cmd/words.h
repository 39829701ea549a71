/* Figures as people read them. The texts are static, and stay for the next few calls. */
#ifndef PLIM_CMD_WORDS_H
#define PLIM_CMD_WORDS_H

#include "../base.h"

const char *words_number(uint64_t n);
/* Like "238.4 MiB"; "unlimited". */
const char *words_bytes(uint64_t n);
/* The same; "unknown". */
const char *words_known(uint64_t n);
/* The same with its sign. */
const char *words_change(int64_t n);
/* Like "42 s", "3.5 min", "120 ms", "0": at most 7 characters, for 27 years. */
const char *words_span(uint64_t ns);
/* Like "2026-11-24 06:30:11 UTC", from nanoseconds since 1970; "at an unknown time". */
const char *words_time(uint64_t wall_ns);

#endif
