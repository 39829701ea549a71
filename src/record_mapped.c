/* What of the process is resident, and what it has mapped, see record.h. */
#include "record_internal.h"

#include <fcntl.h>
#include <string.h>

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* By what stands behind the five fields of a mapping's first line. */
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

/* "Key:   N kB" */
static void add(const char *line, const char *key, uint64_t *to)
{
    uint64_t kib;
    if (begins(line, key) &&
        fmt_parse_u64(line + strlen(key) + strspn(line + strlen(key), " \t"), NULL, &kib) == 0)
        *to += kib * KiB;
}

static void take_line(const char *line, enum record_map *kind, struct record_map_sum *sums)
{
    struct record_map_sum *sum;
    bool is_field = line[0] >= 'A' && line[0] <= 'Z';
    if (!is_field) { /* addresses: hexadecimal in lower case */
        *kind = kind_of(sixth_word(line));
        sums[*kind].mappings++;
        return;
    }
    sum = &sums[*kind];
    add(line, "Rss:", &sum->rss);
    add(line, "Anonymous:", &sum->anonymous);
    add(line, "Swap:", &sum->swap);
}

/* Lines in buf[0..len); what is left of the last, unfinished one moves to the front. */
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

bool record_resident(struct record_resident *ret)
{
    static char text[4096];
    const struct {
        const char *key;
        uint64_t *to;
    } lines[] = {
        {"RssAnon:", &ret->anonymous}, {"RssFile:", &ret->file}, {"RssShmem:", &ret->shared},
        {"VmPTE:", &ret->page_tables}, {"VmSwap:", &ret->swap},  {"Threads:", &ret->threads},
    };
    *ret = (struct record_resident){0};
    if (sys_read_file("/proc/self/status", text, sizeof(text)) < 0)
        return false;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        for (size_t i = 0; i < ARRAY_LEN(lines); i++)
            add(line, lines[i].key, lines[i].to);
    }
    ret->threads /= KiB; /* the one that is no size */
    return true;
}

bool record_smaps(uint64_t deadline_ns, struct record_map_sum ret[RECORD_MAP_COUNT])
{
    static char buf[16 * 1024]; /* one record at a time; a name is no longer than a path */
    enum record_map kind = RECORD_MAP_OTHER;
    size_t held = 0;
    long got = -1;
    memset(ret, 0, RECORD_MAP_COUNT * sizeof(*ret));
    int fd = sys_open("/proc/self/smaps", O_RDONLY);
    while (fd >= 0 && held < sizeof(buf) && sys_now_ns() < deadline_ns &&
           (got = sys_read(fd, buf + held, sizeof(buf) - held)) > 0)
        held = take_lines(buf, held + (size_t)got, &kind, ret);
    if (fd >= 0)
        sys_close(fd);
    return got == 0;
}
