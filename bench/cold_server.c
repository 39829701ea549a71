/*
 * A small HTTP server for bench/startup --cold: takes a listening socket as fd 3, tells on fd 4
 * when main began, answers one request, and ends. It allocates as a service does when it starts: a
 * table of routes, some buffers, and one for each request.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LISTEN_FD = 3, TELL_FD = 4, ROUTES = 200, BUFFERS = 16, BUFFER = 64 * 1024 };

static char *routes[ROUTES], *buffers[BUFFERS];

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static char *take(size_t len)
{
    char *got = malloc(len);
    if (got == NULL)
        _exit(1);
    got[0] = got[len - 1] = 1; /* touched */
    return got;
}

static void prepare(void)
{
    for (int i = 0; i < ROUTES; i++) {
        routes[i] = take(64);
        (void)snprintf(routes[i], 64, "/route/%d", i);
    }
    for (int i = 0; i < BUFFERS; i++)
        buffers[i] = take(BUFFER);
}

static int answer(int client)
{
    char *request = take(8192), *reply = take(8192);
    ssize_t got = read(client, request, 8191);
    if (got <= 0)
        return 1;
    request[got] = '\0';
    int len = snprintf(reply, 8192, "HTTP/1.0 %s\r\nContent-Length: 3\r\n\r\nok\n",
                       strncmp(request, "GET ", 4) == 0 ? "200 OK" : "400 Bad Request");
    int rc = write(client, reply, (size_t)len) == len ? 0 : 1;
    free(reply);
    free(request);
    return rc;
}

int main(void)
{
    uint64_t began = now_ns();
    if (write(TELL_FD, &began, sizeof(began)) != sizeof(began))
        return 1;
    prepare();
    int client = accept(LISTEN_FD, NULL, NULL);
    return client < 0 ? 1 : answer(client);
}
