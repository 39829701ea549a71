/*
 * Feeds what listens to a service manager's file (MEMORY_PRESSURE_WATCH) with any variables, kinds
 * of files and answers of the kernel. The input: four bytes that choose those, the path, a NUL, the
 * text to be written, a NUL. Built with clang's libFuzzer; run by tests/fuzz/run.
 */
#include "../../src/outer.h"
#include "input.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    uint8_t type, opens, reads, revents;
    bool is_open;
    unsigned char written[PRESSURE_WRITE_MAX];
    size_t written_len;
} own;

/* --- what outer.c calls --- */

int sys_file_type(const char *path)
{
    static const int types[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFDIR, S_IFCHR, -ENOENT, -ELOOP};
    hold(strlen(path) < PRESSURE_PATH_MAX);
    return types[own.type % ARRAY_LEN(types)];
}

static int open_it(struct sys_file *file)
{
    hold(!own.is_open);
    if ((own.opens++ & 3) == 0)
        return -EACCES;
    own.is_open = true;
    *file = (struct sys_file){.fd_plus_1 = 8};
    return 0;
}

int sys_file_open(struct sys_file *file, const char *path, int flags)
{
    (void)path, (void)flags;
    return open_it(file);
}

int sys_file_connect(struct sys_file *file, const char *path)
{
    (void)path;
    return open_it(file);
}

void sys_file_close(struct sys_file *file)
{
    own.is_open = own.is_open && file->fd_plus_1 != 8;
    *file = (struct sys_file){0};
}

bool sys_file_is_ours(const struct sys_file *file)
{
    return file->fd_plus_1 == 8 && (own.opens & 128) == 0;
}

long sys_write(int fd, const void *buf, size_t len)
{
    hold(fd == 7 && own.is_open && len > 0 && len <= PRESSURE_WRITE_MAX / 4 * 3);
    memcpy(own.written, buf, len);
    own.written_len = len;
    return (own.opens & 64) != 0 ? -EPIPE : (long)len;
}

long sys_read(int fd, void *buf, size_t len)
{
    hold(fd == 7 && own.is_open);
    memset(buf, 0, len);
    uint8_t choice = own.reads;
    own.reads = (uint8_t)(own.reads >> 1 | own.reads << 7);
    return (choice & 1) != 0 ? (long)len : (choice & 2) != 0 ? -EAGAIN : (choice & 4) - 4;
}

/* --- */

/* The text must be the Base64 of what was written. */
static void check_written(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < (own.written_len * 8 + 5) / 6; i++) {
        unsigned bits = 0;
        for (size_t bit = i * 6; bit < i * 6 + 6; bit++)
            bits = bits << 1 |
                   (bit / 8 < own.written_len ? own.written[bit / 8] >> (7 - bit % 8) & 1 : 0);
        const char *digit = strchr(digits, text[i]);
        /* The last digit's spare bits have no meaning. */
        unsigned spare = (i + 1) * 6 > own.written_len * 8 ? (unsigned)((i + 1) * 6 % 8) : 0;
        hold(text[i] != '\0' && digit != NULL &&
             (unsigned)(digit - digits) >> spare == bits >> spare);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct pressure_watch watch = {0};
    struct outer o = {0};
    if (len < 4)
        return 0;
    memset(&own, 0, sizeof(own));
    own.type = data[0];
    own.opens = data[1];
    own.reads = data[2];
    own.revents = data[3];
    const char *path = (const char *)data + 4;
    size_t path_len = strnlen(path, len - 4);
    const char *text = path + path_len + 1;
    size_t text_len = len - 4 > path_len ? strnlen(text, len - 4 - path_len - 1) : 0;
    memcpy(watch.path, path, u64_min(path_len, sizeof(watch.path) - 1));
    memcpy(watch.write, text, u64_min(text_len, sizeof(watch.write) - 1));

    int rc = outer_open(&o, &watch);
    hold(own.is_open == (rc == 0) && (o.file.fd_plus_1 != 0) == (rc == 0));
    check_written(watch.write);
    if (rc == 0)
        for (unsigned i = 0; i < 4; i++)
            hold(outer_take(&o, (short)(own.revents << i & 63)) <= 1);
    return 0;
}
