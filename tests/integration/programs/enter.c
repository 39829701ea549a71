/*
 * Goes where a container or a service manager would put a program, and becomes that program there:
 *   enter [--cgroup-namespace] [--remount] [--read-only] [--no-proc] [--nobody] -- PROGRAM ARG...
 *     --cgroup-namespace  a namespace of its own, from the present cgroup down
 *     --remount           the cgroup file systems are mounted anew, as seen from there
 *     --read-only         they cannot be written to
 *     --no-proc           /proc is not mounted
 *     --nobody            without any rights
 * Mounts are changed in a mount namespace of its own. Ends with status 77 where any of this is not
 * allowed here.
 */
#include "workload.h"

#include <errno.h>
#include <mntent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum { NOBODY = 65534, NOT_ALLOWED = 77, MOUNTS_MAX = 16 };

static struct cgroup_mount {
    char dir[256], type[16], options[128];
} mounts[MOUNTS_MAX];
static int mount_count;

static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(errno == EPERM || errno == EACCES ? NOT_ALLOWED : 1);
}

/* The controllers of a v1 mount, in the form that mount(2) takes; "" for v2. */
static void take_options(const struct mntent *entry, struct cgroup_mount *ret)
{
    static const char *const controllers[] = {"memory", "cpu", "cpuacct"};
    for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
        if (!hasmntopt(entry, controllers[i]))
            continue;
        size_t len = strlen(ret->options);
        snprintf(ret->options + len, sizeof(ret->options) - len, "%s%s", len > 0 ? "," : "",
                 controllers[i]);
    }
}

/* Lists the mounts that the library reads. */
static void list_mounts(void)
{
    FILE *file = setmntent("/proc/self/mounts", "re");
    if (!file)
        die("no list of mounts");
    for (struct mntent *entry; (entry = getmntent(file)) && mount_count < MOUNTS_MAX;) {
        struct cgroup_mount *found = &mounts[mount_count];
        if (strncmp(entry->mnt_type, "cgroup", 6) != 0)
            continue;
        *found = (struct cgroup_mount){0};
        snprintf(found->dir, sizeof(found->dir), "%s", entry->mnt_dir);
        snprintf(found->type, sizeof(found->type), "%s", entry->mnt_type);
        take_options(entry, found);
        mount_count += strcmp(found->type, "cgroup2") == 0 || found->options[0] != '\0';
    }
    endmntent(file);
}

/* The old ones go first: the kernel does not mount a file system over itself. */
static void remount(void)
{
    for (int i = mount_count; i-- > 0;)
        must(umount2(mounts[i].dir, MNT_DETACH), "cannot unmount cgroups");
    for (int i = 0; i < mount_count; i++)
        must(mount(mounts[i].type, mounts[i].dir, mounts[i].type, 0, mounts[i].options),
             "cannot mount cgroups");
}

static void make_read_only(void)
{
    for (int i = 0; i < mount_count; i++)
        must(mount(NULL, mounts[i].dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL),
             "cannot make a mount read-only");
}

static void become_nobody(void)
{
    must(setgid(NOBODY), "cannot change the group");
    must(setuid(NOBODY), "cannot change the user");
}

int main(int argc, char **argv)
{
    int end = 1;
    while (end < argc && strcmp(argv[end], "--") != 0)
        end++;
    if (end + 1 >= argc)
        die("no program");
    list_mounts();
    if (option_given(end, argv, "cgroup-namespace"))
        must(unshare(CLONE_NEWCGROUP), "cannot make a cgroup namespace");
    must(unshare(CLONE_NEWNS), "cannot make a mount namespace");
    must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "cannot make mounts private");
    if (option_given(end, argv, "remount"))
        remount();
    if (option_given(end, argv, "read-only"))
        make_read_only();
    if (option_given(end, argv, "no-proc"))
        must(umount2("/proc", MNT_DETACH), "cannot unmount /proc");
    if (option_given(end, argv, "nobody"))
        become_nobody();
    execv(argv[end + 1], argv + end + 1);
    die("cannot run %s: %s", argv[end + 1], strerror(errno));
}
