/* Removes the stats pages of processes that are gone, see stats_page_file.h. */
#include "stats_page_file.h"

#include "sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

/* The newest pages of one kind. */
struct kept {
    unsigned count;
    struct {
        struct page_name name;
        uint64_t at;
    } pages[PAGE_EVIDENCE_MAX];
};

struct sweep {
    int dir;
    unsigned left; /* pages that may still be read */
    bool thorough;
    uint32_t euid;
    uint64_t now;
    struct kept evidence;  /* of the dead */
    struct kept elsewhere; /* of other pid namespaces, and quiet */
};

static void sweep_remove(const struct sweep *s, const struct page_name *name)
{
    char text[PAGE_NAME_MAX];
    page_name_print(name, text);
    (void)sys_unlink_at(s->dir, text);
}

/* Keeps a page, and removes the oldest one if there are too many. */
static void sweep_keep(const struct sweep *s, struct kept *kept, const struct page_name *name,
                       uint64_t at)
{
    unsigned oldest = kept->count;
    if (kept->count < PAGE_EVIDENCE_MAX) {
        kept->count++;
    } else {
        oldest = 0;
        for (unsigned i = 1; i < PAGE_EVIDENCE_MAX; i++)
            if (kept->pages[i].at < kept->pages[oldest].at)
                oldest = i;
        if (at <= kept->pages[oldest].at) {
            sweep_remove(s, name);
            return;
        }
        sweep_remove(s, &kept->pages[oldest].name);
    }
    kept->pages[oldest].name = *name;
    kept->pages[oldest].at = at;
}

/* Nobody here can tell whether a process of another pid namespace lives, and an idle one writes
 * nothing: so some of the old pages stay too. */
static void sweep_judge(struct sweep *s, const struct page_name *name, const struct page_view *view)
{
    uint64_t at = page_written_at(view);
    switch (page_life(view)) {
    case PAGE_LIVES:
        break;
    case PAGE_DEAD:
        if (page_is_evidence(view, s->now))
            sweep_keep(s, &s->evidence, name, at);
        else
            sweep_remove(s, name);
        break;
    case PAGE_REPLACED:
        sweep_remove(s, name);
        break;
    case PAGE_ELSEWHERE:
        if (page_is_old(at, s->now))
            sweep_keep(s, &s->elsewhere, name, at);
        break;
    }
}

/* The process ended while it made the page, which does not tell a pid namespace yet. Should the
 * process live, stopped in the middle, it loses no more than the file's name. */
static void sweep_unsealed(const struct sweep *s, const struct page_name *name, const char *text)
{
    if (u64_less(s->now, sys_written_at(s->dir, text)) >= PAGE_MAKING_S * NS_PER_S)
        sweep_remove(s, name);
}

/* The page itself tells in which namespace the name's pid counts. */
static void sweep_page(struct sweep *s, const struct page_name *name, const char *text)
{
    _Alignas(8) char copy[offsetof(struct page, mailbox)];
    struct page_view view;
    uint32_t owner;
    s->left--;
    if (sys_owner_at(s->dir, text, &owner) < 0 || owner != s->euid)
        return;
    int fd = sys_open_at(s->dir, text, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return;
    long len = sys_pread(fd, copy, sizeof(copy), 0);
    sys_close(fd);
    if (len >= 0 && page_is_unsealed(copy, (size_t)len))
        sweep_unsealed(s, name, text);
    else if (len >= 0 && page_parse(copy, (size_t)len, &view) == 0 && view.pid == name->pid &&
             view.start_time == name->start_time)
        sweep_judge(s, name, &view);
}

static void sweep_entry(struct sweep *s, const char *text)
{
    struct page_name name;
    if (!page_name_parse(text, &name))
        return;
    /* The first process of every container has the same pid, so a process with that pid proves
     * little. */
    if (s->thorough || !sys_process_exists(name.pid) ||
        page_is_old(sys_written_at(s->dir, text), s->now))
        sweep_page(s, &name, text);
}

void page_sweep(const char *dir, unsigned look_at)
{
    _Alignas(8) char buf[2048];
    struct sys_dir names;
    const struct dirent64 *entry;
    if (sys_dir_open(&names, dir, buf, sizeof(buf)) < 0)
        return;
    names.reads_left = 1 + look_at / 16; /* other files count too: /tmp may hold millions */
    struct sweep s = {
        .dir = names.fd,
        .left = look_at,
        .thorough = look_at >= PAGE_SWEEP_ALL,
        .euid = sys_euid(),
        .now = sys_wall_ns(),
    };
    while (s.left > 0 && (entry = sys_dir_next(&names)) != NULL)
        sweep_entry(&s, entry->d_name);
    sys_dir_close(&names);
}
