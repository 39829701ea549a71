/* A listening socket, see listen.h. */
#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 256,
    SEND_BUFFER = 64 << 10, /* of each connection: the kernel would hold 4 MiB for one that does not
                               read */
};

static int bad(struct listener *l, const char *text)
{
    (void)snprintf(
        l->failure, sizeof(l->failure),
        "bad value \"%.80s\" for --listen, expected ADDRESS:PORT, such as 127.0.0.1:9464", text);
    return -EINVAL;
}

/* Splits it; an empty host means the loopback address. */
static int split(const char *text, char host[64], char port[8])
{
    const char *colon = strrchr(text, ':');
    const char *digits = colon != NULL ? colon + 1 : text;
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (memchr(text, ':', len) != NULL) {
        return -EINVAL; /* an IPv6 address without brackets */
    }
    if (len >= 64 || digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits) ||
        strlen(digits) > 5)
        return -EINVAL;
    (void)snprintf(host, 64, "%.*s", (int)len, text);
    (void)snprintf(port, 8, "%s", digits);
    return 0;
}

static void name_it(struct listener *l)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof(at);
    char host[64] = "?", port[8] = "?";
    if (getsockname(l->fd, (struct sockaddr *)&at, &len) == 0)
        (void)getnameinfo((struct sockaddr *)&at, len, host, sizeof(host), port, sizeof(port),
                          NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(l->name, sizeof(l->name), at.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
                   port);
}

static int open_at(const struct addrinfo *at)
{
    int one = 1, room = SEND_BUFFER;
    int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)); /* accepted ones inherit it */
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int rc = -errno;
        (void)close(fd);
        return rc;
    }
    return fd;
}

int listener_open(const char *text, struct listener *ret)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
        .ai_socktype = SOCK_STREAM,
    };
    char host[64], port[8];
    unsigned number = 65536;
    *ret = (struct listener){.fd = -1};
    if (split(text, host, port) < 0 || sscanf(port, "%u", &number) != 1 || number > 65535 ||
        getaddrinfo(host[0] != '\0' ? host : "127.0.0.1", port, &hints, &found) != 0)
        return bad(ret, text);
    ret->fd = open_at(found);
    freeaddrinfo(found);
    if (ret->fd < 0) {
        (void)snprintf(ret->failure, sizeof(ret->failure), "cannot listen on %.80s: %s", text,
                       strerror(-ret->fd));
        return ret->fd;
    }
    name_it(ret);
    return 0;
}
