/*
 * Notes a cgroup's usage at a steady beat, from outside the cgroup.
 *   sampler FILE EVERY_US
 * Reads the number in FILE until its own standard input ends, then prints a line for each sample:
 * monotonic time in ns, bytes. Failed reads give no sample; the cgroup may go before the sampler.
 */
#include "clock.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SAMPLES_MAX = 1 << 20 };

struct sample {
    uint64_t ns, bytes;
};

static struct sample samples[SAMPLES_MAX];

static int read_number(int fd, uint64_t *ret)
{
    char text[64];
    ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
    if (got <= 0)
        return -1;
    text[got] = '\0';
    *ret = strtoull(text, NULL, 10);
    return 0;
}

/* Waits until `due`; 0: standard input ended first. */
static int wait_until(uint64_t due)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    uint64_t now = now_ns();
    struct timespec left = {.tv_nsec = due > now ? (long)(due - now) : 0};
    return ppoll(&in, 1, &left, NULL) == 0;
}

int main(int argc, char **argv)
{
    uint64_t every = argc == 3 ? strtoull(argv[2], NULL, 10) * 1000 : 0;
    int fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    size_t count = 0;
    if (fd < 0 || every == 0 || every >= second_ns) {
        fprintf(stderr, "sampler: wants a file and microseconds under a second\n");
        return 2;
    }
    (void)setpriority(PRIO_PROCESS, 0, -20); /* busy programs must not delay it */
    (void)mlockall(MCL_CURRENT);
    for (uint64_t due = now_ns(); count < SAMPLES_MAX && wait_until(due);) {
        if (read_number(fd, &samples[count].bytes) < 0)
            continue;
        samples[count++].ns = now_ns();
        due += every;
        if (due < now_ns()) /* late by a beat or more: the samples missed are lost */
            due = now_ns();
    }
    for (size_t i = 0; i < count; i++)
        printf("%llu %llu\n", (unsigned long long)samples[i].ns,
               (unsigned long long)samples[i].bytes);
    return 0;
}
