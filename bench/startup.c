/*
 * Starts a program many times under one preloaded library after another, in turns, and prints for
 * each the median time from start to end in microseconds: startup RUNS PROGRAM LIBRARY...
 * The library "-" stands for none.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* Negative: it could not be started, or failed. */
static double run_once(char *program, char *library)
{
    char preload[4096];
    char *argv[] = {program, NULL}, *envp[] = {preload, NULL};
    pid_t pid;
    int status;
    snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", library);
    if (strcmp(library, "-") == 0)
        envp[0] = NULL;
    double start = now_us();
    if (posix_spawn(&pid, program, NULL, NULL, argv, envp) != 0)
        return -1;
    if (waitpid(pid, &status, 0) < 0 || status != 0)
        return -1;
    return now_us() - start;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int runs = argc > 3 ? atoi(argv[1]) : 0, libraries = argc - 3;
    if (runs < 1)
        return 2;
    double *times = calloc((size_t)runs * (size_t)libraries, sizeof(*times));
    if (times == NULL)
        return 1;
    for (int run = 0; run < runs; run++) {
        for (int i = 0; i < libraries; i++) {
            double us = run_once(argv[2], argv[3 + i]);
            if (us < 0) {
                fprintf(stderr, "startup: %s failed under %s\n", argv[2], argv[3 + i]);
                return 1;
            }
            times[i * runs + run] = us;
        }
    }
    for (int i = 0; i < libraries; i++) {
        double *own = times + (size_t)i * (size_t)runs;
        qsort(own, (size_t)runs, sizeof(*own), compare);
        printf("%.0f\n", own[runs / 2]);
    }
    free(times);
    return 0;
}
