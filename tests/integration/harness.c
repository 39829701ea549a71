/* Begin and end of a test, and the guardian of its boxes. See harness.h. */
#include "harness_internal.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct mounts mounts;

static struct {
    pid_t pid;
    int fd; /* the guardian acts when this end of its pipe is closed */
} guardian;

/* --- the guardian --- */

static void kill_all_in(const char *dir)
{
    char path[FILENAME_MAX + 64];
    snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    int pid;
    while (fscanf(f, "%d", &pid) == 1) {
        if (pid > 0)
            kill(pid, SIGKILL);
    }
    fclose(f);
}

/* Empties and removes the cgroup's directory and those below it. True when it is gone. */
static bool remove_tree(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOENT;
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        char child[FILENAME_MAX];
        if (snprintf(child, sizeof(child), "%s/%s", dir, entry->d_name) < (int)sizeof(child))
            remove_tree(child);
    }
    closedir(d);
    kill_all_in(dir);
    return rmdir(dir) == 0 || errno == ENOENT;
}

static bool remove_boxes_of(pid_t owner, const char *mount)
{
    char prefix[64];
    snprintf(prefix, sizeof(prefix), "plim_test_%d_", owner);
    bool clean = true;
    DIR *d = opendir(mount);
    if (!d)
        return true;
    for (struct dirent *entry; (entry = readdir(d));) {
        char path[FILENAME_MAX];
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            snprintf(path, sizeof(path), "%s/%s", mount, entry->d_name) < (int)sizeof(path))
            clean = remove_tree(path) && clean;
    }
    closedir(d);
    return clean;
}

static _Noreturn void guard(pid_t owner, int fd)
{
    /* Leaves the owner's process group: a terminal's ^C must not end the guardian before its
     * work. */
    setsid();
    if (dup2(fd, STDIN_FILENO) < 0)
        _exit(1);
    close_range(1, ~0U, 0);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
        ;
    bool clean = false;
    for (int tries = 0; tries < 600 && !clean; tries++) {
        clean = remove_boxes_of(owner, mounts.memory);
        if (mounts.cpu)
            clean = remove_boxes_of(owner, mounts.cpu) && clean;
        if (!clean)
            sleep_ms(50);
    }
    _exit(clean ? 0 : 1);
}

static void guardian_start(void)
{
    int ends[2];
    cr_assert(pipe2(ends, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    pid_t owner = getpid();
    guardian.pid = fork();
    cr_assert(guardian.pid >= 0, "fork: %s", strerror(errno));
    if (guardian.pid == 0) {
        close(ends[1]);
        guard(owner, ends[0]);
    }
    close(ends[0]);
    guardian.fd = ends[1];
}

/* --- begin and end --- */

/* Why cgroups cannot be made here, or NULL. Fills in the mounts. */
static const char *find_mounts(void)
{
    if (cgroup_init() != 0)
        return "no cgroup file system is mounted";
    if (cgroup_get_subsys_mount_point("memory", &mounts.memory) != 0)
        return "no cgroup memory controller";
    if (cgroup_get_subsys_mount_point("cpu", &mounts.cpu) != 0)
        mounts.cpu = NULL;
    char path[FILENAME_MAX];
    snprintf(path, sizeof(path), "%s/cgroup.controllers", mounts.memory);
    mounts.version = access(path, F_OK) == 0 ? 2 : 1;
    snprintf(path, sizeof(path), "%s/plim_test_%d_0", mounts.memory, getpid());
    if (mkdir(path, 0755) != 0)
        return "no right to make cgroups (run as root)";
    rmdir(path);
    return NULL;
}

void harness_begin(void)
{
    const char *missing = find_mounts();
    if (missing)
        cr_skip_test("%s", missing);
    guardian_start();
}

void harness_end(void)
{
    if (!guardian.pid)
        return;
    close(guardian.fd);
    int status = 0;
    while (waitpid(guardian.pid, &status, 0) < 0 && errno == EINTR)
        ;
    guardian.pid = 0;
    cr_expect(status == 0, "a cgroup of this test could not be removed");
}

int harness_version(void)
{
    return mounts.version;
}
