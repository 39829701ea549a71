/* One stats page: copied in one piece, and checked to be what its name says, see stats_pages.h. */
#include "stats_pages_internal.h"

#include "clean.h"
#include "rights.h"

#include "../sys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TRIES = 40, /* to copy between two writes of the page; then it is taken as it is */
    TRY_PAUSE_US = 50,
};

static int read_sequence(int fd, const struct page_header *h, uint32_t *ret)
{
    ssize_t n = pread(fd, ret, sizeof(*ret), h->snapshot_at);
    return n == (ssize_t)sizeof(*ret) ? 0 : n < 0 ? -errno : -EBADMSG;
}

/* Copies what is there. *ret_whole: the sequence was the same even number before and after, so
 * nothing was written meanwhile. */
static int copy_page(int fd, void *copy, size_t size, struct page_view *ret, bool *ret_whole)
{
    struct page_header h;
    uint32_t before, after;
    if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
        return -EBADMSG;
    if (memcmp(h.magic, PAGE_MAGIC, sizeof(h.magic)) == 0 && h.major != PAGE_MAJOR)
        return -EPROTONOSUPPORT;
    int rc = read_sequence(fd, &h, &before);
    if (rc < 0)
        return rc;
    ssize_t n = pread(fd, copy, size, 0);
    rc = n < 0 ? -errno : page_parse(copy, (size_t)n, ret);
    if (rc < 0)
        return rc;
    *ret_whole = (before & 1) == 0 && read_sequence(fd, &h, &after) == 0 && after == before;
    return 0;
}

/* Whether a page of that owner may speak for the process: a user could make one that claims to be
 * of somebody else's. A process that acts for another user, or with his rights, is not that user's;
 * the library makes no page then. */
static bool may_speak_for(uint32_t owner, uint64_t pid)
{
    struct rights its;
    if (owner == 0)
        return true;
    int rc = rights_read(pid, &its);
    if (rc < 0)
        return rc != -EBADMSG; /* false claims about a process that is gone harm nobody */
    return its.real_user == owner && its.user == owner && its.saved_user == owner;
}

/* For what is printed in columns: each byte is a character. */
static void clean_ascii(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || (unsigned char)*text > 0x7e)
            *text = '?';
}

/* The name of a process can change; that of a dead one is what the page remembers. */
static void set_texts(struct process *p)
{
    if (p->life != PAGE_LIVES || !page_comm((uint32_t)p->view.pid, p->comm))
        memcpy(p->comm, p->view.comm, sizeof(p->comm));
    p->comm[strcspn(p->comm, "\n")] = '\0';
    clean_ascii(p->comm);
    clean_ascii(p->view.version);
    clean_text(p->view.cgroup_path);
}

/* Judges whose page it is; -EBADMSG: another process's than its name says, -EPERM: its owner may
 * not claim that. */
static int judge(struct process *p, const struct page_name *name)
{
    if (p->view.pid != name->pid || p->view.start_time != name->start_time)
        return -EBADMSG; /* a copy, or made up */
    p->life = page_life(&p->view);
    return p->life != PAGE_LIVES || may_speak_for(p->owner, p->view.pid) ? 0 : -EPERM;
}

/* Waits for a writer to be done only where there is one: a process that was killed while it wrote
 * leaves an odd sequence for ever, and anybody can make such a file. */
static int read_copy(int fd, size_t size, const struct page_name *name, struct process *ret)
{
    for (unsigned try = 0;; try++) {
        bool whole;
        int rc = copy_page(fd, ret->copy, size, &ret->view, &whole);
        if (rc == 0 && try == 0)
            rc = judge(ret, name);
        if (rc < 0 || whole || ret->life != PAGE_LIVES || try >= TRIES)
            return rc;
        (void)usleep(TRY_PAUSE_US);
    }
}

static void drop_copy(struct process *p)
{
    free(p->copy);
    p->copy = NULL;
    p->view.ring = NULL;
}

static int read_open(int fd, const struct page_name *name, bool history, struct process *ret)
{
    struct stat st;
    size_t size = history ? sizeof(struct page) : offsetof(struct page, mailbox);
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size < size)
        size = (size_t)st.st_size;
    ret->owner = st.st_uid;
    ret->copy = malloc(size > 0 ? size : 1);
    if (ret->copy == NULL)
        return -ENOMEM;
    int rc = read_copy(fd, size, name, ret);
    if (rc < 0 || !history || ret->life != PAGE_LIVES)
        drop_copy(ret);
    if (rc == 0)
        set_texts(ret);
    return rc;
}

/* Opens regular files only, nothing else even for a moment: whoever put it there may have made a
 * device. A descriptor, or -errno. */
static int open_regular(int dir, const char *name)
{
    struct stat st;
    char path[32];
    int at = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (at < 0)
        return -errno;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", at);
    int fd = fstat(at, &st) == 0 && S_ISREG(st.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    int rc = fd >= 0 ? fd : S_ISREG(st.st_mode) ? -errno : -EBADMSG;
    (void)close(at);
    return rc;
}

int process_read(int dir, const struct page_name *name, bool history, struct process *ret)
{
    char text[PAGE_NAME_MAX];
    page_name_print(name, text);
    *ret = (struct process){0};
    int fd = open_regular(dir, text);
    if (fd < 0)
        return fd;
    int rc = read_open(fd, name, history, ret);
    (void)close(fd);
    return rc;
}

void process_free(struct process *process)
{
    free(process->path);
    free(process->copy);
    *process = (struct process){0};
}
