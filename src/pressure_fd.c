/* The eventfd behind plim_pressure_fd(). */
#include "runtime.h"

#include <errno.h>

/* Guards runtime.pressure_file. Never held over anything that waits. */
static struct lock lock;

/* A signal handler that allocates meanwhile does not look: that could change the level, and wait
 * for this thread. */
int pressure_fd_get(void)
{
    bool inside = thread_state.inside;
    thread_state.inside = true;
    lock_take(&lock);
    struct sys_file *file = &runtime.pressure_file;
    if (!sys_file_is_ours(file) && sys_file_eventfd(file) < 0)
        *file = (struct sys_file){0};
    int fd = file->fd_plus_1 - 1;
    lock_release(&lock);
    thread_state.inside = inside;
    return fd >= 0 ? fd : -EMFILE;
}

/* A program that closes descriptors it does not own may have given the number to a file of its own:
 * that must not find eight bytes in it. */
void pressure_fd_signal(void)
{
    const uint64_t one = 1;
    lock_take(&lock);
    if (sys_file_is_ours(&runtime.pressure_file))
        (void)sys_write(runtime.pressure_file.fd_plus_1 - 1, &one, sizeof(one));
    lock_release(&lock);
}

/* The child shares it with the parent and must not speak for it; it can ask for its own. */
void pressure_fd_fork_child(void)
{
    lock_reset(&lock);
    runtime.pressure_file = (struct sys_file){0};
}
