/* For tests of usage.h: a made-up kernel, and looks at it. */
#ifndef PLIM_TEST_USAGE_KERNEL_H
#define PLIM_TEST_USAGE_KERNEL_H

#include "usage.h"

#include "../fuzz/fake_files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct usage usage;

static char files[16 * 1024];
static size_t files_len;

static inline void add_file(const char *path, const char *text)
{
    int n =
        snprintf(files + files_len, sizeof(files) - files_len, "@@ tree file %s\n%s\n", path, text);
    cr_assert(n > 0 && (size_t)n < sizeof(files) - files_len);
    files_len += (size_t)n;
}

static inline void add_number(const char *dir, const char *name, uint64_t value)
{
    char path[512], text[32] = "max";
    snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", dir, name);
    if (value != UNLIMITED)
        snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    add_file(path, text);
}

static inline void add_level(const char *dir, uint64_t limit, uint64_t charge)
{
    add_number(dir, "memory.max", limit);
    add_number(dir, "memory.current", charge);
}

/* Starts over with a process in that cgroup, on a machine with v2 only. */
static inline void process_in(const char *dir)
{
    char line[512];
    files_len = 0;
    snprintf(line, sizeof(line), "0::%s", dir);
    add_file("/proc/self/cgroup", line);
    add_file("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
    add_file("/proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB");
}

/* From now on the kernel has the files that were added. */
static inline void kernel_begin(void)
{
    fake_begin((const uint8_t *)files, files_len);
}

static inline void usage_begin(void)
{
    struct options options;
    options_parse(NULL, &options, NULL, NULL);
    kernel_begin();
    usage_init(&usage, &options.wish);
}

static inline struct usage_sample look(void)
{
    struct usage_sample sample;
    usage_read(&usage, 0, 0, true, &sample);
    return sample;
}

#endif
