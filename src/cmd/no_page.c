/* Why a process has no stats page, see no_page.h. */
#include "no_page.h"

#include "cmd.h"

#include "../options.h"
#include "../sys.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool process_has_ended(uint64_t pid)
{
    uint64_t start;
    int rc = page_start_time((uint32_t)pid, &start);
    return rc == -ESRCH || (rc < 0 && !sys_process_exists((uint32_t)pid));
}

static const struct process *find_dead(const struct pages *pages, uint64_t pid)
{
    for (size_t i = 0; i < pages->dead_count; i++)
        if (pages->dead[i].view.pid == pid)
            return &pages->dead[i];
    return NULL;
}

static void say_ended(const char *verb, uint64_t pid, const struct pages *pages)
{
    const struct process *dead = find_dead(pages, pid);
    if (dead != NULL)
        cmd_say("%s: process %" PRIu64 " is gone; what it left behind: plimsoll report %s", verb,
                pid, dead->path);
    else if (sys_process_exists((uint32_t)pid))
        cmd_say("%s: process %" PRIu64 " has ended", verb, pid);
    else
        cmd_say("%s: there is no process %" PRIu64, verb, pid);
}

void no_page_say(const char *verb, uint64_t pid, const struct pages *pages)
{
    char path[64], space[64];
    struct stat st;
    (void)snprintf(path, sizeof(path), "/proc/%" PRIu64, pid);
    (void)snprintf(space, sizeof(space), "/proc/%" PRIu64 "/ns/pid", pid);
    uint64_t its = sys_inode(space);
    if (process_has_ended(pid))
        say_ended(verb, pid, pages);
    else if (geteuid() != 0 && stat(path, &st) == 0 && st.st_uid != geteuid())
        cmd_say("%s: process %" PRIu64 " belongs to user %u: only that user and root may", verb,
                pid, (unsigned)st.st_uid);
    else if (its != 0 && its != page_pid_namespace())
        cmd_say("%s: process %" PRIu64 " runs in another pid namespace (a container): run this "
                "there, or plimsoll doctor --pid %" PRIu64 " here",
                verb, pid, pid);
    else
        cmd_say("%s: process %" PRIu64 " has no stats page: it does not run under Plimsoll, its "
                "heap is below 2 MiB, or PLIMSOLL_STATS is off%s",
                verb, pid,
                pages->other_versions > 0 ? "; there are pages of another version of the library"
                                          : "");
}

static void take_complaint(void *arg, const char *line)
{
    static const char stats[] = "PLIMSOLL_STATS:";
    (void)arg;
    if (strncmp(line, stats, sizeof(stats) - 1) == 0)
        cmd_say("%s", line);
}

bool stats_dir_is_readable(const char *verb)
{
    struct options options;
    options_parse((const char *const *)environ, &options, take_complaint, NULL);
    if (options.stats != STATS_DIR)
        return true;
    DIR *dir = opendir(options.stats_dir);
    if (dir == NULL)
        cmd_say("%s: PLIMSOLL_STATS: %s: %s", verb, options.stats_dir, strerror(errno));
    else
        (void)closedir(dir);
    return dir != NULL;
}
