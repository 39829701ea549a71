/* The eventfd behind plim_pressure_fd(), see pressure_fd.h. */
#include "pressure_fd.h"

#include "lock.h"
#include "thread_state.h"

#include <errno.h>

static struct {
    struct lock lock; /* guards the file; never held over anything that waits */
    struct sys_file file;
} own;

/* Inside, so that a signal handler that allocates meanwhile does not look: the look could change
 * the level, and then wait for this thread's lock. */
int pressure_fd_get(void)
{
    bool was_inside = inside_enter();
    lock_take(&own.lock);
    struct sys_file *file = &own.file;
    if (!sys_file_is_ours(file) && sys_file_eventfd(file) < 0)
        *file = (struct sys_file){0};
    int fd = file->fd_plus_1 - 1;
    lock_release(&own.lock);
    inside_leave(was_inside);
    return fd >= 0 ? fd : -EMFILE;
}

/* A program that closes descriptors it does not own may have the number for a file of its own: no
 * eight bytes must be written to that. */
void pressure_fd_signal(void)
{
    const uint64_t one = 1;
    lock_take(&own.lock);
    if (sys_file_is_ours(&own.file))
        (void)sys_write(own.file.fd_plus_1 - 1, &one, sizeof(one));
    lock_release(&own.lock);
}

void pressure_fd_fork_child(void)
{
    lock_reset(&own.lock);
    own.file = (struct sys_file){0};
}
