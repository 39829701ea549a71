/* A listening TCP socket from what the user wrote. */
#ifndef PLIM_CMD_LISTEN_H
#define PLIM_CMD_LISTEN_H

struct listener {
    int fd;
    char name[80];     /* ADDRESS:PORT as it is */
    char failure[256]; /* what is wrong, where it cannot be opened */
};

/* "ADDRESS:PORT", "[ADDRESS]:PORT", ":PORT" or "PORT"; without an address 127.0.0.1. Port 0: any.
 * 0, -EINVAL for a bad text, or -errno; the failure says which. */
int listener_open(const char *text, struct listener *ret);

#endif
