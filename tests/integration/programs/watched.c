/*
 * What befalls the descriptors on which the library's watcher listens to the kernel.
 *   watched SCENARIO [--heap-mib 60] [--seconds 3600]
 *     nothing  they are left alone
 *     close    the program closes all that it did not open
 *     reuse    the same, and their numbers given to eventfds of its own
 *     limits   the same, and prints soft_mib=N, the soft limit: asking for it is a look of its own
 *     fork     a child says how many of them it holds: child_holds=N
 * Waits until the descriptors are there. Prints listens=N, their number, then what the scenario
 * says, and ten times a second wakeups=N calls=N (of its reclaimer, which drops a fifth of the
 * heap). reuse: spoilt=N, how often its own eventfds were found written to or read. Needs the
 * library.
 */
#define PLIM_OPTIONAL
#include <plimsoll.h>

#include "workload.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FDS_MAX = 16, FIRST_HIGH = 512, OWN_VALUE = 7 };

static const double patience_s = 120;
static struct block *heap;
static size_t heap_bytes;
static _Atomic unsigned calls;

static size_t drop_some(const struct plim_pressure *pressure, void *arg)
{
    (void)pressure, (void)arg;
    size_t freed = 0;
    while (heap && freed < heap_bytes / 5) {
        struct block *block = heap;
        heap = block->next;
        freed += block->size;
        free(block);
    }
    atomic_fetch_add(&calls, 1);
    return freed;
}

static void fill_heap(size_t bytes)
{
    for (size_t held = 0, got; held < bytes; held += got) {
        struct block *block = block_new(16000, &got);
        if (!block)
            die("malloc failed");
        block->next = heap;
        heap = block;
    }
    heap_bytes = bytes;
}

static bool is_listened_on(int fd)
{
    char path[64], target[256] = "";
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (fd < FIRST_HIGH || readlink(path, target, sizeof(target) - 1) < 0)
        return false;
    return strstr(target, "[eventfd]") || strstr(target, "/memory.events");
}

/* The library's descriptors; returns how many. */
static int list_listened(int fds[FDS_MAX])
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        die("no /proc/self/fd");
    for (struct dirent *entry; (entry = readdir(dir)) && count < FDS_MAX;) {
        int fd = atoi(entry->d_name);
        if (is_listened_on(fd))
            fds[count++] = fd;
    }
    closedir(dir);
    return count;
}

/* Waits for two: one that wakes the watcher, one on which it listens. */
static int wait_for_listening(int fds[FDS_MAX])
{
    int count = 0;
    for (double start = now_s(); count < 2 && now_s() - start < patience_s; sleep_s(0.05))
        count = list_listened(fds);
    return count;
}

static void close_all(void)
{
    closefrom(3);
}

static void reuse(const int *fds, int count)
{
    int own = eventfd(OWN_VALUE, EFD_NONBLOCK);
    for (int i = 0; i < count; i++) {
        close(fds[i]);
        if (dup2(own, fds[i]) != fds[i])
            die("dup2 failed");
    }
}

/* How often so far. All these numbers are one eventfd. */
static int count_spoilt(const int *fds, int count)
{
    static int spoilt;
    for (int i = 0; i < count; i++) {
        eventfd_t value = 0;
        if (eventfd_read(fds[i], &value) != 0 || value != OWN_VALUE)
            spoilt++;
        if (eventfd_write(fds[i], OWN_VALUE) != 0)
            spoilt++;
    }
    return spoilt;
}

/* The child asks before its first allocation: its own watcher starts with that. */
static void fork_and_tell(const int *fds, int count)
{
    pid_t pid = fork();
    if (pid == 0) {
        int held = 0;
        for (int i = 0; i < count; i++)
            held += fcntl(fds[i], F_GETFD) >= 0;
        _exit(held);
    }
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        die("no child");
    printf("child_holds=%d\n", WEXITSTATUS(status));
}

static void tell(void)
{
    struct plim_stats stats = {.size = sizeof(stats)};
    plim_stats(&stats);
    printf("wakeups=%.0f calls=%u\n", (double)stats.watcher_wakeups, atomic_load(&calls));
}

static void tell_limit(void)
{
    struct plim_limits limits = {.size = sizeof(limits)};
    plim_limits(&limits);
    printf("soft_mib=%.0f\n", (double)(limits.soft >> 20));
}

int main(int argc, char **argv)
{
    const char *scenario = argc > 1 ? argv[1] : "";
    double seconds = option_number(argc, argv, "seconds", 3600);
    int fds[FDS_MAX];
    if (!plim_present())
        die("needs the library");
    setlinebuf(stdout);
    fill_heap((size_t)(option_number(argc, argv, "heap-mib", 60) * 1048576));
    if (plim_reclaimer_add("heap", drop_some, NULL, PLIM_MEDIUM) < 0)
        die("cannot add a reclaimer");
    int count = wait_for_listening(fds);
    printf("listens=%d\n", count);
    if (strcmp(scenario, "close") == 0)
        close_all();
    if (strcmp(scenario, "reuse") == 0)
        reuse(fds, count);
    if (strcmp(scenario, "fork") == 0)
        fork_and_tell(fds, count);
    for (double start = now_s(); now_s() - start < seconds; sleep_s(0.1)) {
        tell();
        if (strcmp(scenario, "limits") == 0)
            tell_limit();
        if (strcmp(scenario, "reuse") == 0)
            printf("spoilt=%d\n", count_spoilt(fds, count));
    }
    return 0;
}
