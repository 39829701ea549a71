/* Finding and preloading the library, see preload.h. */
#include "preload.h"

#include "../options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char preload_name[] = "LD_PRELOAD";

/* Owned by root, by us or by the owner of this command. Where a directory nearby is open to all, as
 * /tmp above a build, anybody could leave a library for us. */
static bool is_trusted(const char *path)
{
    struct stat library, command;
    return access(path, R_OK) == 0 && stat(path, &library) == 0 &&
           (library.st_uid == 0 || library.st_uid == geteuid() ||
            (stat("/proc/self/exe", &command) == 0 && library.st_uid == command.st_uid));
}

/* Puts the absolute path of dir/name into path if there is such a file. */
static bool try_dir(const char *dir, const char *relative, char *path, size_t len)
{
    static const char *const names[] = {"libplimsoll.so", "libplimsoll.so.0"};
    char joined[PATH_MAX], absolute[PATH_MAX];
    int n = snprintf(joined, sizeof(joined), "%s%s", dir, relative);
    if (n < 0 || (size_t)n >= sizeof(joined) || realpath(joined, absolute) == NULL)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        n = snprintf(path, len, "%s/%s", absolute, names[i]);
        if (n > 0 && (size_t)n < len && is_trusted(path))
            return true;
    }
    return false;
}

static bool find_near_command(char *path, size_t len)
{
    static const char *const places[] = {"", "/..", "/../lib"};
    char dir[PATH_MAX];
    ssize_t got = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
    if (got <= 0)
        return false;
    dir[got] = '\0';
    *strrchr(dir, '/') = '\0';
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (try_dir(dir, places[i], path, len))
            return true;
    return false;
}

static bool read_header(const char *path, ElfW(Ehdr) * ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool whole = fd >= 0 && read(fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret);
    if (fd >= 0)
        (void)close(fd);
    return whole && memcmp(ret->e_ident, ELFMAG, SELFMAG) == 0;
}

/* A file that is no library the dynamic linker only complains of, and starts the program without
 * it. */
static bool is_library(const char *path)
{
    ElfW(Ehdr) file, own;
    return read_header(path, &file) && file.e_type == ET_DYN &&
           (!read_header("/proc/self/exe", &own) ||
            (file.e_machine == own.e_machine && file.e_ident[EI_CLASS] == own.e_ident[EI_CLASS]));
}

int preload_find(const char *given, char *path, size_t len)
{
    if (given != NULL) {
        char absolute[PATH_MAX];
        if (realpath(given, absolute) == NULL || access(absolute, R_OK) < 0)
            return -errno;
        if ((size_t)snprintf(path, len, "%s", absolute) >= len)
            return -ENAMETOOLONG;
    } else if (!find_near_command(path, len) && !try_dir(CMD_LIBDIR, "", path, len)) {
        return -ENOENT;
    }
    if (strpbrk(path, " :") != NULL)
        return -EINVAL;
    return given != NULL && !is_library(path) ? -ELIBBAD : 0;
}

/* name=value[:more] */
static char *entry_new(const char *name, const char *value, const char *more)
{
    char *entry;
    bool join = more != NULL && more[0] != '\0';
    int n = asprintf(&entry, "%s=%s%s%s", name, value, join ? ":" : "", join ? more : "");
    return n < 0 ? NULL : entry;
}

char **preload_environment(char *const *env, const char *library, const char *limit)
{
    const char *limit_name = option_table[OPTION_LIMIT].name;
    const char *before = NULL;
    size_t count = 0, at = 0;
    while (env[count] != NULL)
        count++;
    char **copy = calloc(count + 3, sizeof(*copy));
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const char *value = options_entry_value(env[i], preload_name);
        if (value != NULL)
            before = value;
        else if (limit == NULL || options_entry_value(env[i], limit_name) == NULL)
            copy[at++] = env[i];
    }
    copy[at] = entry_new(preload_name, library, before);
    bool ok = copy[at++] != NULL;
    if (limit != NULL) {
        copy[at] = entry_new(limit_name, limit, NULL);
        ok = copy[at++] != NULL && ok;
    }
    if (ok)
        return copy;
    free(copy);
    return NULL;
}

/* Reads fd to its end, keeps what fits, and drops the last newline. */
static void read_all(int fd, char *text, size_t len)
{
    char surplus[512];
    size_t used = 0;
    ssize_t got;
    do {
        bool full = used + 1 >= len;
        got = full ? read(fd, surplus, sizeof(surplus)) : read(fd, text + used, len - 1 - used);
        if (got > 0 && !full)
            used += (size_t)got;
    } while (got > 0);
    text[used] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

/* Runs this command once more in that environment: *ret_ran: whether it ran well; `why`: its
 * complaint. 0 or -errno. */
static int run_self(char *const *env, bool *ret_ran, char *why, size_t len)
{
    char *argv[] = {(char[]){"plimsoll"}, (char[]){"--version"}, NULL};
    int fds[2], status = -1;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], STDERR_FILENO);
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
        execve("/proc/self/exe", argv, env);
        _exit(EXIT_FAILURE);
    }
    int rc = pid < 0 ? -errno : 0;
    (void)close(fds[1]);
    if (pid > 0) {
        read_all(fds[0], why, len);
        (void)waitpid(pid, &status, 0);
    }
    (void)close(fds[0]);
    *ret_ran = status == 0;
    return rc;
}

int preload_try(const char *library, char *why, size_t len)
{
    /* The library's own messages would be taken for the linker's. */
    static char log_off[] = "PLIMSOLL_LOG=off";
    char *env[] = {entry_new(preload_name, library, NULL), log_off, NULL};
    bool ran = false;
    int rc = env[0] == NULL ? -ENOMEM : run_self(env, &ran, why, len);
    free(env[0]);
    if (rc < 0)
        return rc;
    if (!ran && why[0] == '\0')
        (void)snprintf(why, len, "a program does not run with %s", library);
    return why[0] != '\0' ? -ELIBBAD : 0;
}
