/*
 * What else may run in the same cgroup. Runs until it is ended.
 *   beside busy               uses a CPU
 *   beside tmpfs DIR MIB      fills a file in memory, MIB MiB, and empties it, again and again
 *   beside cache FILE         reads a file as fast as a disk would give it, again and again
 */
#include "soak.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 256 << 10 };

static char chunk[CHUNK];

static void rest(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static _Noreturn void use_cpu(void)
{
    for (volatile unsigned n = 0;; n++)
        ;
}

/* The file has no name: nothing is left behind. */
static _Noreturn void fill_tmpfs(const char *dir, int mib)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        stop("beside: no file in %s", dir);
    for (;;) {
        for (int i = 0; i < mib * 4; i++) {
            if (write(fd, chunk, CHUNK) != CHUNK)
                stop("beside: %s is full", dir);
            rest(2);
        }
        rest(200);
        if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
            stop("beside: the file cannot be emptied");
    }
}

static _Noreturn void read_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        stop("beside: cannot open %s", path);
    for (;;) {
        while (read(fd, chunk, CHUNK) > 0)
            rest(1);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* the next pass reads it anew */
        lseek(fd, 0, SEEK_SET);
        rest(10);
    }
}

int main(int argc, char **argv)
{
    memset(chunk, 1, sizeof(chunk));
    if (argc == 2 && strcmp(argv[1], "busy") == 0)
        use_cpu();
    if (argc == 4 && strcmp(argv[1], "tmpfs") == 0)
        fill_tmpfs(argv[2], atoi(argv[3]));
    if (argc == 3 && strcmp(argv[1], "cache") == 0)
        read_file(argv[2]);
    stop("usage: beside busy | tmpfs DIR MIB | cache FILE");
}
