/*
 * Feeds plimsoll doctor with any program file, memory map and environment of the process that it is
 * asked about: its owner chooses them. The same input stands for each of the three. Built with
 * clang's libFuzzer; run by tests/fuzz/run.
 */
#include "../../src/cmd/doctor.h"
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);

enum { PID = 999999999 };

static int memory = -1; /* the input, as a file */

static bool is_asked(const char *path)
{
    return strncmp(path, "/proc/999999999/", 16) == 0;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return is_asked(path) ? dup(memory) : __real_open(path, flags, mode);
}

/* Files of other processes cannot be read. */
FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (!is_asked(path) && strncmp(path, "/proc/", 6) == 0)
        return NULL;
    if (!is_asked(path))
        return __real_fopen(path, mode);
    (void)lseek(memory, 0, SEEK_SET);
    return fdopen(dup(memory), "r");
}

/* --- what doctor_process.c calls besides --- */

long sys_read_file(const char *path, char *buf, size_t len)
{
    if (!is_asked(path) || len == 0)
        return -ENOENT;
    long got = pread(memory, buf, len - 1, 0);
    buf[got > 0 ? got : 0] = '\0';
    return got;
}

int cgroup_level_file(const char *root, const struct cgroup_dir *dir, size_t path_len,
                      const char *name, char *buf, size_t len)
{
    (void)root, (void)dir, (void)path_len, (void)name;
    (void)snprintf(buf, len, "/proc/999999999/cgroup.procs");
    return 0;
}

void doctor_gather_dir(int pid, const char *path, struct doctor_dir *ret)
{
    hold(pid == PID && path[0] == '/');
    memset(ret, 0, sizeof(*ret));
}

/* --- */

static void check_text(const char *text, size_t size)
{
    hold(memchr(text, '\0', size) != NULL);
}

static void gather(struct diagnosis *d, const uint8_t *data, size_t len)
{
    struct entries entries;
    entries_of(&entries, data, len);
    options_parse(entries.list, &d->options, NULL, NULL);
    doctor_gather_environment(entries.list, &d->process);
    free(entries.copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct diagnosis d;
    if (memory < 0)
        memory = memfd_create("input", MFD_CLOEXEC);
    hold(memory >= 0 && ftruncate(memory, 0) == 0);
    hold(pwrite(memory, data, len, 0) == (ssize_t)len);
    memset(&d, 0, sizeof(d));
    d.request.pid = PID;
    memcpy(d.cgroup.memory.path, "/x", 3);
    gather(&d, data, len);
    doctor_gather_process(&d);
    check_text(d.process.before, sizeof(d.process.before));
    check_text(d.process.behind, sizeof(d.process.behind));
    check_text(d.process.leftovers, sizeof(d.process.leftovers));
    check_text(d.process.malloc_conf, sizeof(d.process.malloc_conf));
    check_text(d.process.sanitizer, sizeof(d.process.sanitizer));
    check_text(d.process.neighbour, sizeof(d.process.neighbour));
    return 0;
}
