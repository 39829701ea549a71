/* The seam to the kernel: pipes and sockets, see sys.h. */
#include "sys_internal.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* The write end, at whatever number. A pipe has a name only in /proc, so the mode 0666 only lets
 * the program open it after it has changed its user. */
static int make_pipe(void)
{
    int ends[2];
    int rc = (int)SYS_CALL(SYS_pipe2, ends, O_CLOEXEC | O_NONBLOCK);
    if (rc < 0)
        return rc;
    sys_close(ends[0]);
    (void)SYS_CALL(SYS_fchmod, ends[1], 0666);
    return ends[1];
}

/* Numbers from here on, apart from our other descriptors: should a program close them all, the
 * others are opened again at the first free number, which must not be this one's. */
enum { APART = 768 };

int sys_file_pipe(struct sys_file *file)
{
    int fd = make_pipe();
    if (fd < 0)
        return fd;
    int apart = (int)SYS_CALL(SYS_fcntl, fd, F_DUPFD_CLOEXEC, APART);
    if (apart < 0)
        return sys_file_adopt_high(file, fd);
    sys_close(fd);
    return sys_file_adopt(file, apart);
}

int sys_file_pipe_at(struct sys_file *file, int number)
{
    bool ours = file->fd_plus_1 == number + 1 && sys_file_is_ours(file);
    int fd = make_pipe();
    if (fd < 0)
        return fd;
    int at = (int)(ours ? SYS_RETRY(SYS_dup3, fd, number, O_CLOEXEC)
                        : SYS_CALL(SYS_fcntl, fd, F_DUPFD_CLOEXEC, number));
    sys_close(fd);
    if (at == number)
        return sys_file_adopt(file, at);
    if (at >= 0)
        sys_close(at);
    return at < 0 ? at : -EBUSY;
}

bool sys_pipe_is_read(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLOUT};
    return sys_poll(&end, 1, 0) >= 0 && (end.revents & (POLLERR | POLLNVAL)) == 0;
}

long sys_pipe_unread(int fd)
{
    int bytes = 0;
    long rc = SYS_CALL(SYS_ioctl, fd, FIONREAD, &bytes);
    return rc < 0 ? rc : bytes;
}

int sys_file_connect(struct sys_file *file, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(to.sun_path))
        return -ENAMETOOLONG;
    memcpy(to.sun_path, path, len);
    int fd = (int)SYS_CALL(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    int rc = (int)SYS_RETRY(SYS_connect, fd, &to, sizeof(to));
    if (rc == 0)
        return sys_file_adopt_high(file, fd);
    sys_close(fd);
    return rc;
}

int sys_file_type(const char *path)
{
    struct stat st;
    long rc = SYS_CALL(SYS_newfstatat, AT_FDCWD, path, &st, 0);
    return rc < 0 ? (int)rc : (int)(st.st_mode & S_IFMT);
}
