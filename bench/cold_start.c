/*
 * How long a server takes from its start to main, and to its first answer:
 *   cold_start RUNS PROGRAM LIBRARY [PROGRAM LIBRARY]...
 * Each PROGRAM (bench/cold_server.c, linked in several ways) is started RUNS times with LIBRARY
 * preloaded ("-": none), all in turns. The request is sent before the program starts. Prints each
 * one's medians to main and to the answer, in microseconds.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LISTEN_FD = 3, TELL_FD = 4, OWN_FDS = 10 };

static const char request[] = "GET / HTTP/1.0\r\n\r\n";

struct sample {
    double main_us, answer_us;
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* A descriptor with another number than those that the server is given. */
static int above(int fd)
{
    int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, OWN_FDS);
    if (moved < 0)
        fail("cold_start: socket");
    close(fd);
    return moved;
}

/* A listening socket, and a client socket that has sent it a request. */
static void make_sockets(int *ret_listener, int *ret_client)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    *ret_listener = above(socket(AF_INET, SOCK_STREAM, 0));
    if (bind(*ret_listener, (struct sockaddr *)&at, len) < 0 || listen(*ret_listener, 8) < 0 ||
        getsockname(*ret_listener, (struct sockaddr *)&at, &len) < 0)
        fail("cold_start: listen");
    *ret_client = above(socket(AF_INET, SOCK_STREAM, 0));
    if (connect(*ret_client, (struct sockaddr *)&at, len) < 0 ||
        write(*ret_client, request, sizeof(request) - 1) != (ssize_t)sizeof(request) - 1)
        fail("cold_start: connect");
}

static pid_t start(char *program, char *library, int listener, int tell)
{
    char preload[4096];
    char *argv[] = {program, NULL}, *envp[] = {preload, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", library);
    if (strcmp(library, "-") == 0)
        envp[0] = NULL;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, listener, LISTEN_FD);
    posix_spawn_file_actions_adddup2(&actions, tell, TELL_FD);
    if (posix_spawn(&pid, program, &actions, NULL, argv, envp) != 0)
        fail(program);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static struct sample run_once(char *program, char *library)
{
    int listener, client, tell[2], status;
    uint64_t began = 0;
    char reply[256];
    make_sockets(&listener, &client);
    if (pipe(tell) < 0)
        fail("cold_start: pipe");
    tell[0] = above(tell[0]), tell[1] = above(tell[1]);
    uint64_t before = now_ns();
    pid_t pid = start(program, library, listener, tell[1]);
    close(tell[1]);
    ssize_t got = read(client, reply, sizeof(reply));
    uint64_t answered = now_ns();
    if (got < 15 || memcmp(reply, "HTTP/1.0 200 OK", 15) != 0 ||
        read(tell[0], &began, sizeof(began)) != sizeof(began) || waitpid(pid, &status, 0) < 0 ||
        status != 0) {
        fprintf(stderr, "cold_start: %s under %s did not answer\n", program, library);
        exit(1);
    }
    close(listener), close(client), close(tell[0]);
    return (struct sample){(double)(began - before) / 1e3, (double)(answered - before) / 1e3};
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), compare);
    return values[count / 2];
}

int main(int argc, char **argv)
{
    int runs = argc > 3 ? atoi(argv[1]) : 0, pairs = (argc - 2) / 2;
    if (runs < 1 || argc % 2 != 0)
        return 2;
    size_t total = (size_t)runs * (size_t)pairs;
    double *to_main = calloc(total, sizeof(double)), *to_answer = calloc(total, sizeof(double));
    if (to_main == NULL || to_answer == NULL)
        return 1;
    for (int run = 0; run < runs; run++)
        for (int i = 0; i < pairs; i++) {
            struct sample sample = run_once(argv[2 + 2 * i], argv[3 + 2 * i]);
            to_main[i * runs + run] = sample.main_us;
            to_answer[i * runs + run] = sample.answer_us;
        }
    for (int i = 0; i < pairs; i++)
        printf("%.0f %.0f\n", median(to_main + (size_t)i * (size_t)runs, runs),
               median(to_answer + (size_t)i * (size_t)runs, runs));
    free(to_main);
    free(to_answer);
    return 0;
}
