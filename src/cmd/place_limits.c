/* Which limits hold the processes of a cgroup, for v2; see place.h. */
#include "place.h"

#include "cgroupfs.h"

#include <dirent.h>
#include <string.h>

static bool ends_in(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);
    return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* A line of memory.max ("max", or a number), cpu.max ("max 100000"), misc.max ("NAME max") or
 * io.max ("8:16 rbps=max wbps=1048576"). */
static bool line_limits(char *line)
{
    char *rest;
    const char *word = strtok_r(line, " ", &rest);
    if (word == NULL || strcmp(word, "max") == 0)
        return false;
    word = strtok_r(NULL, " ", &rest);
    if (word == NULL)
        return true; /* a value alone */
    for (; word != NULL; word = strtok_r(NULL, " ", &rest))
        if (strcmp(word, "max") != 0 && !ends_in(word, "=max"))
            return true;
    return false;
}

static bool text_limits(char *text)
{
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        if (line_limits(line))
            return true;
    return false;
}

/* By their names, which covers future controllers and each size of huge pages. For CPUs and memory
 * nodes an empty list means those of the cgroup above. */
static bool may_limit(const char *name)
{
    return ends_in(name, ".max") || ends_in(name, ".high") || strcmp(name, "cpuset.cpus") == 0 ||
           strcmp(name, "cpuset.mems") == 0;
}

bool place_has_limits(const char *path)
{
    char text[4096];
    bool found = false;
    DIR *files = opendir(path);
    if (files == NULL)
        return true; /* not known: assume one */
    const struct dirent *file;
    while (!found && (file = readdir(files)) != NULL)
        found = may_limit(file->d_name) &&
                cgroupfs_read(path, file->d_name, text, sizeof(text)) == 0 && text_limits(text);
    (void)closedir(files);
    return found;
}
