/*
 * Text without stdio: parses and prints the few forms that the library needs, in fixed buffers.
 */
#ifndef PLIM_FMT_H
#define PLIM_FMT_H

#include "base.h"

/* A buffer that truncates instead of overflowing and is always NUL-terminated. */
struct fmt {
    char *buf;
    size_t cap; /* at least 1 */
    size_t len; /* without the NUL */
};
#define FMT_INIT(array)                                                                            \
    {                                                                                              \
        .buf = (array), .cap = sizeof(array), .len = 0                                             \
    }

void fmt_str(struct fmt *f, const char *s);
void fmt_strn(struct fmt *f, const char *s, size_t len);
/* For text from outside: control characters, which would break the line or command a terminal,
 * become question marks. */
void fmt_printable(struct fmt *f, const char *s, size_t len);
void fmt_u64(struct fmt *f, uint64_t v);
void fmt_i64(struct fmt *f, int64_t v);
/* Like "238.4 MiB", rounded to the nearest tenth; "unlimited" for UNLIMITED. */
void fmt_bytes(struct fmt *f, uint64_t bytes);

/*
 * Decimal number at s; *ret_end (may be NULL) is set behind its last digit.
 * -EINVAL: no digit; -ERANGE: more than 64 bits. Results are untouched on failure.
 */
int fmt_parse_u64(const char *s, const char **ret_end, uint64_t *ret);
/* Lines such as "key number" and "Key:   number kB": of each keys[i] that begins one, its number as
 * it stands goes to values[i], UNLIMITED for more than 64 bits, and bit i of the result is set. At
 * most 32 keys. */
unsigned fmt_scan_keys(const char *text, const char *const *keys, uint64_t *values, unsigned count);
/* The state in a /proc/PID/stat line: a letter of proc(5), or \0. */
char fmt_stat_state(const char *line);
/* The number in a field of a /proc/PID/stat line, counted as proc(5) does, from 4 on: what stands
 * before them, the program's name among it, may be anything. -EBADMSG where there is none. */
int fmt_stat_field(const char *line, int field, uint64_t *ret);
/* Whole string as bytes: N, or N with K M G T (1000^n) or Ki Mi Gi Ti (1024^n), each with an
 * optional B; fractions such as 1.5Gi are allowed. */
int fmt_parse_size(const char *s, uint64_t *ret);
/* Whole string as a percentage "N%" with up to 3 decimals, in thousandths of a percent. */
int fmt_parse_percent(const char *s, uint64_t *ret_milli_percent);

#endif
