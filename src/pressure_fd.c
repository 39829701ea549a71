/* The eventfd behind plim_pressure_fd(). */
#include "runtime.h"

#include <errno.h>
#include <sys/eventfd.h>

int pressure_fd_get(void)
{
    int fd = atomic_load(&runtime.pressure_fd);
    if (fd >= 0)
        return fd;
    int made = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made < 0)
        return -errno;
    if (atomic_compare_exchange_strong(&runtime.pressure_fd, &fd, made))
        return made;
    sys_close(made); /* another thread was first */
    return fd;
}

void pressure_fd_signal(void)
{
    const uint64_t one = 1;
    int fd = atomic_load(&runtime.pressure_fd);
    if (fd >= 0)
        (void)sys_write(fd, &one, sizeof(one));
}

/* The child shares it with the parent and must not speak for it; it can ask for its own. */
void pressure_fd_fork_child(void)
{
    atomic_store(&runtime.pressure_fd, -1);
}
