/* Finds the stats pages of all processes, see stats_pages.h. */
#include "stats_pages_internal.h"

#include "../options.h"
#include "../sys.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRS_MAX = 64 };

/* Directories to look in, each once. */
struct dirs {
    unsigned count;
    struct {
        char *path;
        dev_t dev;
        ino_t ino;
    } list[DIRS_MAX];
};

static void dirs_add(struct dirs *dirs, const char *path)
{
    struct stat st;
    if (path[0] == '\0' || dirs->count == DIRS_MAX || stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return;
    for (unsigned i = 0; i < dirs->count; i++)
        if (dirs->list[i].dev == st.st_dev && dirs->list[i].ino == st.st_ino)
            return;
    char *copy = strdup(path);
    if (copy == NULL)
        return;
    dirs->list[dirs->count].path = copy;
    dirs->list[dirs->count].dev = st.st_dev;
    dirs->list[dirs->count++].ino = st.st_ino;
}

/* Where sessions of other users have their pages. */
static void dirs_add_users(struct dirs *dirs)
{
    static const char users[] = "/run/user";
    DIR *dir = opendir(users);
    struct dirent *entry;
    char path[PATH_MAX];
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", users, entry->d_name);
        dirs_add(dirs, path);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

static void dirs_find(struct dirs *ret)
{
    struct options options;
    *ret = (struct dirs){0};
    options_parse((const char *const *)environ, &options, NULL, NULL);
    if (options.stats == STATS_OFF) /* for programs started here: others may have pages */
        options.stats = STATS_AUTO;
    const char *likely[STATS_DIRS_MAX];
    unsigned count = options_stats_dirs(&options, likely);
    for (unsigned i = 0; i < count; i++)
        dirs_add(ret, likely[i]);
    if (options.stats == STATS_DIR)
        return;
    dirs_add(ret, "/tmp");
    dirs_add_users(ret);
}

static void dirs_free(struct dirs *dirs)
{
    for (unsigned i = 0; i < dirs->count; i++)
        free(dirs->list[i].path);
}

static int push(struct process **list, size_t *count, const struct process *process)
{
    /* Room doubles whenever the count is a power of two. */
    if ((*count & (*count - 1)) == 0) {
        size_t room = *count == 0 ? 1 : 2 * *count;
        struct process *larger = reallocarray(*list, room, sizeof(*larger));
        if (larger == NULL)
            return -ENOMEM;
        *list = larger;
    }
    (*list)[(*count)++] = *process;
    return 0;
}

/* Anybody can leave any number of pages: only the newest of each owner are kept. */
static int keep_dead(struct pages *pages, struct process *process)
{
    struct process *oldest = NULL;
    unsigned count = 0;
    for (size_t i = 0; i < pages->dead_count; i++) {
        struct process *other = &pages->dead[i];
        if (other->owner != process->owner)
            continue;
        count++;
        if (oldest == NULL || page_written_at(&other->view) < page_written_at(&oldest->view))
            oldest = other;
    }
    if (count < PAGE_EVIDENCE_MAX)
        return push(&pages->dead, &pages->dead_count, process);
    if (page_written_at(&process->view) > page_written_at(&oldest->view)) {
        struct process newer = *process;
        *process = *oldest;
        *oldest = newer;
    }
    process_free(process);
    return 0;
}

static void keep_elsewhere(struct pages *pages, struct process *process)
{
    struct process *last = &pages->elsewhere;
    if (pages->elsewhere_count++ > 0 &&
        page_written_at(&process->view) <= page_written_at(&last->view)) {
        process_free(process);
        return;
    }
    process_free(last);
    *last = *process;
}

static int keep(struct pages *pages, struct process *process, const char *dir, const char *name)
{
    int rc = asprintf(&process->path, "%s/%s", dir, name) < 0 ? -ENOMEM : 0;
    if (rc < 0)
        process->path = NULL;
    else if (process->life == PAGE_LIVES)
        rc = push(&pages->list, &pages->count, process);
    else if (process->life == PAGE_DEAD && page_is_evidence(&process->view, sys_wall_ns()))
        rc = keep_dead(pages, process);
    else if (process->life == PAGE_ELSEWHERE)
        keep_elsewhere(pages, process);
    else
        process_free(process);
    if (rc < 0)
        process_free(process);
    return rc;
}

static int read_dir(struct pages *pages, const char *path, bool history)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int rc = 0;
    while (dir != NULL && rc == 0 && (entry = readdir(dir)) != NULL) {
        struct page_name name;
        struct process process;
        if (!page_name_parse(entry->d_name, &name))
            continue;
        int got = process_read(dirfd(dir), &name, history, &process);
        pages->other_versions += got == -EPROTONOSUPPORT;
        if (got == 0)
            rc = keep(pages, &process, path, entry->d_name);
    }
    if (dir != NULL)
        (void)closedir(dir);
    return rc;
}

/* By pid; of two of the same process the one written last comes first. */
static int by_pid(const void *a, const void *b)
{
    const struct page_view *x = &((const struct process *)a)->view;
    const struct page_view *y = &((const struct process *)b)->view;
    if (x->pid != y->pid)
        return x->pid < y->pid ? -1 : 1;
    uint64_t at = x->values[PAGE_UPDATED], other = y->values[PAGE_UPDATED];
    return at > other ? -1 : at < other;
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = page_written_at(&((const struct process *)a)->view);
    uint64_t y = page_written_at(&((const struct process *)b)->view);
    return x > y ? -1 : x < y;
}

static void sort(struct pages *pages)
{
    size_t kept = 0;
    if (pages->count > 0)
        qsort(pages->list, pages->count, sizeof(*pages->list), by_pid);
    if (pages->dead_count > 0)
        qsort(pages->dead, pages->dead_count, sizeof(*pages->dead), newest_first);
    for (size_t i = 0; i < pages->count; i++) {
        struct process *p = &pages->list[i];
        if (kept > 0 && pages->list[kept - 1].view.pid == p->view.pid)
            process_free(p); /* an older one, from before an exec, in another directory */
        else
            pages->list[kept++] = *p;
    }
    pages->count = kept;
}

int pages_read(bool history, struct pages *ret)
{
    struct dirs dirs;
    int rc = 0;
    *ret = (struct pages){0};
    dirs_find(&dirs);
    for (unsigned i = 0; i < dirs.count && rc == 0; i++)
        rc = read_dir(ret, dirs.list[i].path, history);
    dirs_free(&dirs);
    ret->now_ns = sys_now_ns();
    if (rc < 0)
        pages_free(ret);
    else
        sort(ret);
    return rc;
}

void pages_free(struct pages *pages)
{
    for (size_t i = 0; i < pages->count; i++)
        process_free(&pages->list[i]);
    for (size_t i = 0; i < pages->dead_count; i++)
        process_free(&pages->dead[i]);
    process_free(&pages->elsewhere);
    free(pages->list);
    free(pages->dead);
    *pages = (struct pages){0};
}

const struct process *pages_find(const struct pages *pages, uint64_t pid)
{
    for (size_t i = 0; i < pages->count; i++)
        if (pages->list[i].view.pid == pid)
            return &pages->list[i];
    return NULL;
}

int pages_read_for(uint64_t pid, struct pages *ret)
{
    struct process process;
    int rc = pages_read(false, ret);
    if (rc < 0 || pid == 0 || pages_find(ret, pid) != NULL ||
        process_read_mapped(pid, &process) < 0)
        return rc;
    rc = push(&ret->list, &ret->count, &process);
    if (rc < 0) {
        process_free(&process);
        pages_free(ret);
    }
    return rc;
}

void pages_sweep(void)
{
    struct dirs dirs;
    dirs_find(&dirs);
    for (unsigned i = 0; i < dirs.count; i++)
        page_sweep(dirs.list[i].path, PAGE_SWEEP_ALL);
    dirs_free(&dirs);
}
