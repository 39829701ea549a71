/* Programs in boxes. See harness.h. */
#include "harness_internal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double patience(void)
{
    const char *factor = getenv("HARNESS_PATIENCE");
    return factor && atof(factor) >= 1 ? atof(factor) : 1;
}

void sleep_ms(unsigned ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&ts, NULL);
}

bool eventually(double seconds, bool (*is_true)(void *arg), void *arg)
{
    double end = now_s() + seconds * patience();
    for (;;) {
        if (is_true(arg))
            return true;
        if (now_s() > end)
            return false;
        sleep_ms(10);
    }
}

const char *harness_library(void)
{
    const char *library = getenv("PLIMSOLL_LIBRARY");
    if (!library || access(library, R_OK) != 0)
        cr_skip_test("PLIMSOLL_LIBRARY does not name the library under test");
    return library;
}

const char *harness_command(void)
{
    const char *command = getenv("PLIMSOLL_COMMAND");
    if (!command || access(command, X_OK) != 0)
        cr_skip_test("PLIMSOLL_COMMAND does not name the command under test: was it built?");
    return command;
}

const char *harness_program(const char *name)
{
    static char paths[3][FILENAME_MAX];
    static unsigned next;
    char *path = paths[next++ % 3];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(paths[0]) - 1);
    cr_assert(len > 0, "readlink: %s", strerror(errno));
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    snprintf(slash, sizeof(paths[0]) - (size_t)(slash - path), "/programs/%s", name);
    cr_assert(access(path, X_OK) == 0, "no program %s", path);
    return path;
}

const char *harness_file_dir(void)
{
    const char *dir = getenv("HARNESS_FILE_DIR");
    return dir ? dir : "/var/tmp";
}

/* --- start --- */

static bool is_inherited(const char *variable)
{
    return strncmp(variable, "PLIMSOLL", 8) != 0 && strncmp(variable, "MALLOC", 6) != 0 &&
           strncmp(variable, "LD_PRELOAD=", 11) != 0;
}

/* Returns an allocated array; its strings are not copies, except LD_PRELOAD. */
static char **make_environment(const struct run_spec *spec)
{
    size_t count = 0, given = 0, n = 0;
    while (environ[count])
        count++;
    while (spec->env && spec->env[given])
        given++;
    char **env = calloc(count + given + 2, sizeof(*env));
    cr_assert(env, "out of memory");
    for (size_t i = 0; i < count; i++) {
        if (is_inherited(environ[i]))
            env[n++] = environ[i];
    }
    for (size_t i = 0; i < given; i++)
        env[n++] = (char *)(uintptr_t)spec->env[i];
    if (spec->preload && asprintf(&env[n], "LD_PRELOAD=%s", spec->preload) < 0)
        cr_assert_fail("out of memory");
    return env;
}

static void attach(const struct box *box, pid_t pid)
{
    if (box_is_threaded(box)) {
        cr_assert(box_adopt(box, pid) == 0, "cannot put process into a threaded cgroup");
        return;
    }
    struct cgroup *group = box_open(box);
    int err = cgroup_attach_task_pid(group, pid);
    cr_assert(err == 0, "cannot put process into a cgroup: %s", cgroup_strerror(err));
    cgroup_free(&group);
}

/* Moves all threads: libcgroup would move only one. */
void run_move(const struct run *run, const struct box *box)
{
    int err = box_adopt(box, run->pid);
    cr_assert(err == 0, "cannot move process %d: %s", run->pid, strerror(-err));
}

/* Runs in the child: waits to be attached, then becomes the program. */
static _Noreturn void become(const struct run_spec *spec, char **env, int go_fd, int out, int err)
{
    char byte;
    while (read(go_fd, &byte, 1) < 0 && errno == EINTR)
        ;
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    close_range(3, ~0U, 0);
    signal(SIGPIPE, SIG_DFL);
    execve(spec->argv[0], (char *const *)(uintptr_t)spec->argv, env);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", spec->argv[0], strerror(errno));
    _exit(127);
}

struct run run_start(struct run_spec spec)
{
    struct run run = {
        .out_fd = memfd_create("out", MFD_CLOEXEC),
        .err_fd = memfd_create("err", MFD_CLOEXEC),
    };
    int go[2];
    cr_assert(run.out_fd >= 0 && run.err_fd >= 0 && pipe2(go, O_CLOEXEC) == 0, "no descriptors");
    char **env = make_environment(&spec);
    run.pid = fork();
    cr_assert(run.pid >= 0, "fork: %s", strerror(errno));
    if (run.pid == 0) {
        close(go[1]);
        become(&spec, env, go[0], run.out_fd, run.err_fd);
    }
    if (spec.box)
        attach(spec.box, run.pid);
    close(go[0]);
    close(go[1]);
    free(env);
    return run;
}

/* --- end --- */

static char *read_all(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)(size < 0 ? 0 : size) + 1);
    cr_assert(text, "out of memory");
    if (size > 0 && pread(fd, text, (size_t)size, 0) < 0)
        text[0] = '\0';
    return text;
}

static void read_output(struct run *run)
{
    free(run->out);
    free(run->err);
    run->out = read_all(run->out_fd);
    run->err = read_all(run->err_fd);
}

static bool has_ended(void *arg)
{
    struct run *run = arg;
    if (!run->ended && waitpid(run->pid, &run->status, WNOHANG) == run->pid)
        run->ended = true;
    return run->ended;
}

void run_wait(struct run *run, double seconds)
{
    if (!eventually(seconds, has_ended, run)) {
        run->timed_out = true;
        kill(run->pid, SIGKILL);
        eventually(60, has_ended, run);
    }
    read_output(run);
}

struct run run_in(struct run_spec spec, double seconds)
{
    struct run run = run_start(spec);
    run_wait(&run, seconds);
    return run;
}

void run_stop(struct run *run)
{
    if (!has_ended(run))
        kill(run->pid, SIGTERM);
    run_wait(run, 60);
}

/* --- what came of it --- */

bool run_has_printed(struct run *run, const char *text)
{
    read_output(run);
    return strstr(run->out, text) != NULL;
}

bool run_exited(const struct run *run, int status)
{
    return run->ended && WIFEXITED(run->status) && WEXITSTATUS(run->status) == status;
}

bool run_signalled(const struct run *run, int sig)
{
    return run->ended && WIFSIGNALED(run->status) && WTERMSIG(run->status) == sig;
}

double run_number(struct run *run, const char *key)
{
    read_output(run);
    double value = -1;
    size_t len = strlen(key);
    for (const char *at = run->out; (at = strstr(at, key)); at += len) {
        if (at[len] == '=' && (at == run->out || at[-1] == ' ' || at[-1] == '\n'))
            value = strtod(at + len + 1, NULL);
    }
    return value;
}

void expect_survived(const struct box *box, const struct run *run)
{
    cr_expect(run_exited(run, 0), "%s", run_describe(run));
    cr_expect(box_oom_kills(box) == 0, "OOM kills: %d", (int)box_oom_kills(box));
}

void expect_oom_killed(const struct box *box, const struct run *run)
{
    cr_expect(run_signalled(run, SIGKILL) && !run->timed_out, "not killed: %s", run_describe(run));
    cr_expect(box_oom_kills(box) > 0, "no OOM kill was counted");
}

const char *run_describe(const struct run *run)
{
    static char text[1024];
    const char *how = "still running";
    int number = 0;
    if (run->ended && WIFSIGNALED(run->status)) {
        how = run->timed_out ? "timed out, killed by signal" : "killed by signal";
        number = WTERMSIG(run->status);
    } else if (run->ended) {
        how = "exited with status";
        number = WEXITSTATUS(run->status);
    }
    const char *out = run->out ? run->out : "", *err = run->err ? run->err : "";
    size_t skip = strlen(out) > 200 ? strlen(out) - 200 : 0;
    snprintf(text, sizeof(text), "%s %d; stdout: %s; stderr: %.500s", how, number, out + skip, err);
    for (char *newline = text; (newline = strchr(newline, '\n'));)
        *newline = ' ';
    return text;
}
