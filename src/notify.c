/* Pressure told by systemd's protocol, see notify.h. */
#include "notify.h"

#include "fmt.h"
#include "log.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Pressure that lasts is told again after again_ns; two messages are never closer than soonest_ns.
 * A program that has not yet read a message gets no second one. */
static const uint64_t again_ns = NS_PER_S, soonest_ns = 100 * NS_PER_MS;

static struct {
    struct sys_file pipe; /* the write end; none: it was closed */
    int number;           /* the pipe's descriptor; 0: nothing is offered */
    enum plim_level told; /* the level that was told last; PLIM_NORMAL: there is no pressure */
    uint64_t told_ns;
    const struct pressure_watch *outer;
    /* Becomes part of the environment (putenv). */
    char entry[sizeof(PRESSURE_WATCH "=" PRESSURE_OWN_PREFIX) + 10];
} own;

static const char *own_path(void)
{
    return own.entry + sizeof(PRESSURE_WATCH "=") - 1;
}

static int try_open(const char *path)
{
    int fd = sys_open(path, O_RDONLY | O_NONBLOCK);
    if (fd >= 0)
        sys_close(fd);
    return fd < 0 ? fd : 0;
}

/* A path of our own form was set by a parent or an earlier program, if it names a descriptor that
 * this program does not have. What that program had been given it left in the _OUTER variables. */
static const struct pressure_watch *find_outer(const struct options *o)
{
    const struct pressure_watch *given = &o->pressure;
    if (strncmp(given->path, PRESSURE_OWN_PREFIX, sizeof(PRESSURE_OWN_PREFIX) - 1) == 0 &&
        (o->pressure_outer.path[0] != '\0' || try_open(given->path) < 0))
        given = &o->pressure_outer;
    return given->path[0] != '\0' ? given : NULL;
}

static int make_pipe(void)
{
    int rc = sys_file_pipe(&own.pipe);
    if (rc < 0)
        return rc;
    struct fmt entry = FMT_INIT(own.entry);
    own.number = own.pipe.fd_plus_1 - 1;
    fmt_str(&entry, PRESSURE_WATCH "=" PRESSURE_OWN_PREFIX);
    fmt_i64(&entry, own.number);
    /* Where a program may have few descriptors: 0 to 2 mean standard input and output to
     * everybody. */
    rc = own.number > 2 ? try_open(own_path()) : -EMFILE;
    if (rc < 0) {
        sys_file_close(&own.pipe);
        own.number = 0;
    }
    return rc;
}

static void set_variable(const char *name, const char *value)
{
    if (value[0] != '\0')
        (void)setenv(name, value, 1);
    else
        (void)unsetenv(name);
}

/* MEMORY_PRESSURE_WRITE is unset: nothing need be written to our pipe. */
static void set_variables(void)
{
    set_variable(PRESSURE_WATCH_OUTER, own.outer != NULL ? own.outer->path : "");
    set_variable(PRESSURE_WRITE_OUTER, own.outer != NULL ? own.outer->write : "");
    set_variable(PRESSURE_WRITE, "");
    (void)putenv(own.entry);
}

void notify_begin(const struct options *o)
{
    if (o->notify == NOTIFY_OFF)
        return;
    const struct pressure_watch *outer = find_outer(o);
    if (outer != NULL && strcmp(outer->path, "/dev/null") == 0) {
        log_line(LOG_INFO, PRESSURE_WATCH " is /dev/null: the program is told of no pressure");
        return;
    }
    if (outer != NULL && o->thread == THREAD_OFF) {
        log_line(LOG_INFO, "PLIMSOLL_THREAD=off: nobody could pass on what " PRESSURE_WATCH
                           " tells, so it stays as it is");
        return;
    }
    if (make_pipe() < 0) {
        log_line(LOG_WARN, "PLIMSOLL_NOTIFY: /proc/self/fd cannot be used, expected that a pipe "
                           "can be opened there; the program is told of no pressure");
        return;
    }
    own.outer = outer;
    set_variables();
}

const struct pressure_watch *notify_outer(void)
{
    return own.outer;
}

/* A program may close descriptors that it does not own and open the name later: the pipe is made
 * anew, unless the number has been given to another file. */
static bool is_there(void)
{
    if (own.number == 0)
        return false;
    return sys_file_is_ours(&own.pipe) || sys_file_pipe_at(&own.pipe, own.number) == 0;
}

bool notify_is_offered(void)
{
    return own.number != 0;
}

bool notify_has_reader(void)
{
    return is_there() && sys_pipe_is_read(own.number);
}

static void tell(uint64_t now_ns)
{
    own.told_ns = now_ns;
    if (notify_has_reader() && sys_pipe_unread(own.number) == 0)
        sys_write_gently(own.number, "\n", 1);
}

void notify_look(bool wanting, enum plim_level level, uint64_t now_ns)
{
    if (own.number == 0)
        return;
    if (!wanting) {
        own.told = PLIM_NORMAL;
        return;
    }
    if (level < PLIM_MEDIUM)
        level = PLIM_MEDIUM; /* a large request wants it */
    if (now_ns - own.told_ns < (level > own.told ? soonest_ns : again_ns))
        return;
    own.told = level;
    tell(now_ns);
}

void notify_relay(uint64_t now_ns)
{
    tell(now_ns); /* as often as the manager says */
}

void notify_fork_child(void)
{
    if (own.number == 0 || !sys_file_is_ours(&own.pipe))
        return;
    if (sys_file_pipe_at(&own.pipe, own.number) < 0)
        sys_file_close(&own.pipe); /* the child must not write to the parent's */
    own.told = PLIM_NORMAL;
}
