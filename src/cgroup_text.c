/* Text for the cgroup_*.c files: spans, and files read by lines through a fixed buffer. */
#include "cgroup_internal.h"

#include <fcntl.h>
#include <string.h>

struct span span_cut(struct span *rest, char end)
{
    struct span head = *rest;
    const char *at = rest->len > 0 ? memchr(rest->at, end, rest->len) : NULL;
    if (at != NULL)
        head.len = (size_t)(at - rest->at);
    size_t taken = at != NULL ? head.len + 1 : head.len;
    rest->at += taken;
    rest->len -= taken;
    return head;
}

bool span_is(struct span s, const char *word)
{
    size_t len = strlen(word);
    return s.len == len && memcmp(s.at, word, len) == 0;
}

bool span_lists(struct span list, const char *word)
{
    while (list.len > 0) {
        if (span_is(span_cut(&list, ','), word))
            return true;
    }
    return false;
}

bool span_number(struct span s, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.at[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *ret = v;
    return s.len > 0;
}

bool path_within(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Far more than any kernel has of mounts; a file in a captured tree may be endless. */
enum { LINES_BYTES_MAX = 64 * MiB };

int lines_open(struct lines *lines, const char *path, char *buf, size_t cap)
{
    int fd = sys_open(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return fd;
    *lines = (struct lines){.fd = fd, .buf = buf, .cap = cap};
    return 0;
}

/* Reads more behind what is in the buffer; false where one line fills it. */
static bool lines_fill(struct lines *lines)
{
    if (lines->end == lines->cap) {
        if (lines->start == 0)
            return false;
        lines->end -= lines->start;
        memmove(lines->buf, lines->buf + lines->start, lines->end);
        lines->start = 0;
        lines->shifted = true;
    }
    long got = lines->offset < LINES_BYTES_MAX ? sys_pread(lines->fd, lines->buf + lines->end,
                                                           lines->cap - lines->end, lines->offset)
                                               : -EFBIG;
    if (got <= 0) {
        lines->eof = true;
        if (lines->error == 0)
            lines->error = (int)got;
    } else {
        lines->end += (size_t)got;
        lines->offset += (uint64_t)got;
    }
    return true;
}

/* Gives out `len` bytes and drops `extra` behind them; false: the rest of a line whose head was
 * given out. */
static bool lines_take(struct lines *lines, size_t len, size_t extra, struct span *ret)
{
    *ret = (struct span){.at = lines->buf + lines->start, .len = len};
    lines->start += len + extra;
    bool wanted = !lines->skipping;
    lines->skipping = false;
    return wanted;
}

bool lines_next(struct lines *lines, struct span *ret)
{
    for (;;) {
        char *from = lines->buf + lines->start;
        size_t left = lines->end - lines->start;
        char *newline = memchr(from, '\n', left);
        if (newline != NULL) {
            if (lines_take(lines, (size_t)(newline - from), 1, ret))
                return true;
        } else if (lines->eof) {
            if (left == 0)
                return false;
            if (lines_take(lines, left, 0, ret))
                return true;
        } else if (!lines_fill(lines)) {
            bool wanted = lines_take(lines, left, 0, ret);
            lines->skipping = true;
            if (wanted)
                return true;
        }
    }
}

void lines_rewind(struct lines *lines)
{
    lines->start = 0;
    lines->skipping = false;
    if (lines->shifted) {
        lines->end = 0;
        lines->offset = 0;
        lines->eof = false;
        lines->shifted = false;
    }
}

void lines_close(struct lines *lines)
{
    sys_close(lines->fd);
}

/* Reads to the end of a line. The kernel gives a value in one read, and there are many such files,
 * so no second read looks for the file's end. But a filesystem in between (FUSE, 9p) may give it in
 * pieces, and half a number is another number. */
long line_read(int fd, char *buf, size_t len)
{
    size_t got = 0;
    long n;
    do {
        n = sys_read(fd, buf + got, len - got);
        got += n > 0 ? (size_t)n : 0;
    } while (n > 0 && got < len && buf[got - 1] != '\n');
    return n < 0 ? n : (long)got;
}
