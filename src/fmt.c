/* Text without stdio, see fmt.h. */
#include "fmt.h"

#include <errno.h>
#include <string.h>

void fmt_strn(struct fmt *f, const char *s, size_t len)
{
    size_t room = f->cap - 1 - f->len;
    if (len > room)
        len = room;
    memcpy(f->buf + f->len, s, len);
    f->len += len;
    f->buf[f->len] = '\0';
}

void fmt_str(struct fmt *f, const char *s)
{
    fmt_strn(f, s, strlen(s));
}

void fmt_printable(struct fmt *f, const char *s, size_t len)
{
    size_t at = f->len;
    fmt_strn(f, s, len);
    for (; at < f->len; at++)
        if ((unsigned char)f->buf[at] < ' ' || f->buf[at] == 0x7f)
            f->buf[at] = '?';
}

void fmt_u64(struct fmt *f, uint64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    fmt_strn(f, digits + at, sizeof(digits) - at);
}

void fmt_i64(struct fmt *f, int64_t v)
{
    if (v < 0)
        fmt_str(f, "-");
    fmt_u64(f, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void fmt_bytes(struct fmt *f, uint64_t bytes)
{
    static const char *const unit[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    if (bytes == UNLIMITED) {
        fmt_str(f, "unlimited");
        return;
    }
    unsigned u = 0;
    uint64_t scale = 1;
    while (u + 1 < ARRAY_LEN(unit) && bytes / scale >= 1024) {
        scale *= 1024;
        u++;
    }
    uint64_t whole = bytes / scale;
    uint64_t tenths = (bytes % scale * 10 + scale / 2) / scale; /* to the nearest */
    whole += tenths / 10;
    if (whole == 1024 && u + 1 < ARRAY_LEN(unit)) {
        whole = 1;
        u++;
    }
    fmt_u64(f, whole);
    if (u > 0) {
        fmt_str(f, ".");
        fmt_u64(f, tenths % 10);
    }
    fmt_str(f, unit[u]);
}

int fmt_parse_u64(const char *s, const char **ret_end, uint64_t *ret)
{
    uint64_t v = 0;
    const char *p = s;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return -ERANGE;
        v = v * 10 + digit;
    }
    if (p == s)
        return -EINVAL;
    if (ret_end != NULL)
        *ret_end = p;
    *ret = v;
    return 0;
}

unsigned fmt_scan_keys(const char *text, const char *const *keys, uint64_t *values, unsigned count)
{
    unsigned found = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " \t\r\n:");
        for (unsigned i = 0; i < count; i++) {
            if (strlen(keys[i]) == word && memcmp(keys[i], text, word) == 0) {
                const char *number = text + word + strspn(text + word, " \t:");
                int rc = fmt_parse_u64(number, NULL, &values[i]);
                if (rc == -ERANGE)
                    values[i] = UNLIMITED;
                if (rc != -EINVAL)
                    found |= 1u << i;
            }
        }
        text += word;
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return found;
}

char fmt_stat_state(const char *line)
{
    const char *at = strrchr(line, ')'); /* the name may hold anything */
    return at != NULL && at[1] == ' ' ? at[2] : '\0';
}

int fmt_stat_field(const char *line, int field, uint64_t *ret)
{
    const char *at = strrchr(line, ')'); /* ends the second one */
    for (int i = 2; at != NULL && i < field; i++)
        at = strchr(at + 1, ' ');
    return at == NULL || fmt_parse_u64(at + 1, NULL, ret) < 0 ? -EBADMSG : 0;
}

/* "digits[.digits]" in thousandths of a unit; further decimals are dropped. */
static int parse_milli(const char *s, const char **ret_end, unsigned __int128 *ret)
{
    uint64_t whole;
    unsigned milli = 0;
    int rc = fmt_parse_u64(s, &s, &whole);
    if (rc < 0)
        return rc;
    if (*s == '.') {
        s++;
        if (*s < '0' || *s > '9')
            return -EINVAL;
        for (unsigned weight = 100; *s >= '0' && *s <= '9'; s++, weight /= 10)
            milli += weight * (unsigned)(*s - '0');
    }
    *ret = (unsigned __int128)whole * 1000 + milli;
    *ret_end = s;
    return 0;
}

/* The multiplier that a suffix stands for; 0 if it is none. */
static uint64_t size_unit(const char *s)
{
    static const char letters[] = "KMGT";
    uint64_t unit = 1;
    const char *at = *s != '\0' ? strchr(letters, *s) : NULL;
    if (at != NULL) {
        uint64_t base = s[1] == 'i' ? 1024 : 1000;
        for (const char *l = letters; l <= at; l++)
            unit *= base;
        s += base == 1024 ? 2 : 1;
    }
    if (*s == 'B')
        s++;
    return *s == '\0' ? unit : 0;
}

int fmt_parse_size(const char *s, uint64_t *ret)
{
    const char *end;
    unsigned __int128 milli;
    int rc = parse_milli(s, &end, &milli);
    if (rc < 0)
        return rc;
    uint64_t unit = size_unit(end);
    if (unit == 0)
        return -EINVAL;
    unsigned __int128 bytes = milli * unit / 1000;
    if (bytes > UINT64_MAX)
        return -ERANGE;
    *ret = (uint64_t)bytes;
    return 0;
}

int fmt_parse_percent(const char *s, uint64_t *ret_milli_percent)
{
    const char *end;
    unsigned __int128 milli;
    int rc = parse_milli(s, &end, &milli);
    if (rc < 0)
        return rc;
    if (strcmp(end, "%") != 0)
        return -EINVAL;
    if (milli > UINT64_MAX)
        return -ERANGE;
    *ret_milli_percent = (uint64_t)milli;
    return 0;
}
