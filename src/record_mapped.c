/* What of the process is resident, and what it has mapped, see record.h. */
#include "record_internal.h"

#include <fcntl.h>
#include <string.h>

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* By the name, which is behind the five fields of a mapping's first line. */
static enum record_map kind_of(const char *name)
{
    if (name[0] == '\0' || begins(name, "[anon"))
        return RECORD_MAP_ANONYMOUS;
    if (begins(name, "[heap]"))
        return RECORD_MAP_BRK;
    if (begins(name, "[stack"))
        return RECORD_MAP_STACK;
    if (name[0] == '[')
        return RECORD_MAP_OTHER;
    if (begins(name, "/dev/shm/") || begins(name, "/memfd:") || begins(name, "/SYSV") ||
        begins(name, "/dev/zero"))
        return RECORD_MAP_SHARED;
    return RECORD_MAP_FILE;
}

static const char *sixth_word(const char *line)
{
    for (int word = 0; word < 5; word++) {
        line += strcspn(line, " ");
        line += strspn(line, " ");
    }
    return line;
}

static void take_line(const char *line, enum record_map *kind, struct record_map_sum *sums)
{
    static const char *const keys[] = {"Rss", "Anonymous", "Swap"};
    uint64_t kib[ARRAY_LEN(keys)] = {0};
    bool is_field = line[0] >= 'A' && line[0] <= 'Z';
    if (!is_field) { /* addresses: hexadecimal in lower case */
        *kind = kind_of(sixth_word(line));
        sums[*kind].mappings++;
        return;
    }
    (void)fmt_scan_keys(line, keys, kib, ARRAY_LEN(keys));
    sums[*kind].rss += kib[0] * KiB;
    sums[*kind].anonymous += kib[1] * KiB;
    sums[*kind].swap += kib[2] * KiB;
}

/* Takes the lines in buf[0..len); the unfinished one at the end moves to the front. Returns its
 * length. */
static size_t take_lines(char *buf, size_t len, enum record_map *kind, struct record_map_sum *sums)
{
    size_t at = 0;
    for (char *end; (end = memchr(buf + at, '\n', len - at)) != NULL;) {
        *end = '\0';
        take_line(buf + at, kind, sums);
        at = (size_t)(end - buf) + 1;
    }
    memmove(buf, buf + at, len - at);
    return len - at;
}

bool record_resident(struct record_scratch *scratch, struct record_resident *ret)
{
#define X(name, key, unit) key,
    static const char *const keys[] = {RECORD_RESIDENT(X)};
#undef X
    uint64_t values[ARRAY_LEN(keys)] = {0}, *value = values;
    *ret = (struct record_resident){0};
    if (sys_read_file(SYS_OWN_FILE("status"), scratch->bytes, sizeof(scratch->bytes)) < 0)
        return false;
    (void)fmt_scan_keys(scratch->bytes, keys, values, ARRAY_LEN(keys));
#define X(name, key, unit) ret->name = *value++ * (unit);
    RECORD_RESIDENT(X)
#undef X
    return true;
}

bool record_smaps(struct record_scratch *scratch, uint64_t deadline_ns,
                  struct record_map_sum ret[RECORD_MAP_COUNT])
{
    char *buf = scratch->bytes; /* a line fits: a name is no longer than a path */
    const size_t size = sizeof(scratch->bytes);
    enum record_map kind = RECORD_MAP_OTHER;
    size_t held = 0;
    long got = -1;
    memset(ret, 0, RECORD_MAP_COUNT * sizeof(*ret));
    struct sys_file file; /* the program may close it meanwhile */
    if (sys_file_open(&file, SYS_OWN_FILE("smaps"), O_RDONLY) < 0)
        return false;
    while (held < size && sys_now_ns() < deadline_ns && sys_file_is_ours(&file) &&
           (got = sys_read(file.fd_plus_1 - 1, buf + held, size - held)) > 0)
        held = take_lines(buf, held + (size_t)got, &kind, ret);
    sys_file_close(&file);
    return got == 0;
}
