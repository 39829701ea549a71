/* Listening to what a service manager named, see outer.h. */
#include "outer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

static int sextet(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* Base64 to bytes; their number, or -EINVAL. */
static long decode(const char *text, unsigned char *ret, size_t size)
{
    size_t len = 0, read = 0;
    uint32_t bits = 0;
    for (; text[read] != '\0' && text[read] != '='; read++) {
        int digit = sextet(text[read]);
        if (digit < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)digit;
        if (read % 4 == 0)
            continue; /* six bits are no byte yet */
        if (len == size)
            return -EINVAL;
        ret[len++] = (unsigned char)(bits >> (6 - read % 4 * 2));
    }
    size_t padding = strlen(text + read);
    bool whole = (read + padding) % 4 == 0 && read % 4 != 1 && padding <= 2;
    return whole && strspn(text + read, "=") == padding ? (long)len : -EINVAL;
}

/* A FIFO is opened for both directions: otherwise its end would be reported for ever once a writer
 * has gone. */
static int open_kind(struct outer *o, const char *path)
{
    int rc, type = sys_file_type(path);
    o->events = type == S_IFREG ? POLLPRI : POLLIN;
    switch (type) {
    case S_IFSOCK:
        return sys_file_connect(&o->file, path);
    case S_IFREG:
    case S_IFIFO:
        rc = sys_file_open(&o->file, path, O_RDWR | O_NONBLOCK);
        return rc < 0 ? sys_file_open(&o->file, path, O_RDONLY | O_NONBLOCK) : rc;
    default:
        return type < 0 ? type : -EINVAL;
    }
}

int outer_open(struct outer *o, const struct pressure_watch *watch)
{
    unsigned char text[PRESSURE_WRITE_MAX];
    struct outer made = {0};
    long rc = decode(watch->write, text, sizeof(text));
    size_t len = rc > 0 ? (size_t)rc : 0;
    if (rc >= 0)
        rc = open_kind(&made, watch->path);
    if (rc >= 0 && len > 0)
        rc = sys_write(made.file.fd_plus_1 - 1, text, len);
    if (rc < 0)
        sys_file_close(&made.file);
    else
        *o = made;
    return rc < 0 ? (int)rc : 0;
}

int outer_take(const struct outer *o, short revents)
{
    char discarded[512];
    bool told = false;
    long len = 1;
    if ((revents & (POLLERR | POLLNVAL)) != 0 || !sys_file_is_ours(&o->file))
        return -EBADF;
    if (o->events == POLLPRI)
        return (revents & POLLPRI) != 0; /* the kernel's file is not read */
    for (int i = 0; i < 8 && len > 0; i++) {
        len = sys_read(o->file.fd_plus_1 - 1, discarded, sizeof(discarded));
        told = told || len > 0;
    }
    if (told || len == -EAGAIN)
        return told;
    return len == 0 ? -EPIPE : (int)len;
}
