/* The asking side of a mailbox, see mailbox.h and stats_page.h. */
#include "mailbox.h"

#include "../fmt.h"
#include "../sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often, while waiting, the process is checked to be still there. */
static const uint64_t check_ns = 200 * NS_PER_MS;

static void page_was_cut(int signal)
{
    static const char text[] = "plimsoll: ctl: the stats page was cut short meanwhile\n";
    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(1);
}

/* 0, -ESRCH or -EALREADY. */
static int can_answer(const struct process *p)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)p->view.pid);
    enum page_life life = page_life(&p->view);
    if (life == PAGE_DEAD || life == PAGE_REPLACED || sys_read_file(path, text, sizeof(text)) < 0)
        return -ESRCH;
    char state = fmt_stat_state(text);
    return state == 'T' || state == 't' ? -EALREADY : state == 'Z' || state == 'X' ? -ESRCH : 0;
}

static int map_page(const struct process *p, struct page **ret)
{
    struct stat st;
    struct page_header h;
    int fd = open(p->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int rc = 0;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct page) ||
        pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) ||
        h.mailbox_at != offsetof(struct page, mailbox) || h.pid != p->view.pid ||
        h.start_time != p->view.start_time)
        rc = -EBADMSG;
    void *page = rc < 0
                     ? MAP_FAILED
                     : mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (rc == 0 && page == MAP_FAILED)
        rc = -errno;
    (void)close(fd);
    *ret = page;
    return rc;
}

/* The mailbox is for one sender at a time. One that died holding it is passed over, even if its pid
 * is another process's by now: that one does not have the page mapped. */
static bool take_turn(const struct process *p, struct page_mailbox *m, uint64_t until_ns)
{
    uint32_t self = (uint32_t)getpid();
    for (;;) {
        uint32_t owner = 0;
        if (atomic_compare_exchange_strong_explicit(&m->owner, &owner, self, memory_order_acquire,
                                                    memory_order_relaxed))
            return true;
        if (!process_page_mapped_by(p, owner) &&
            atomic_compare_exchange_strong_explicit(&m->owner, &owner, self, memory_order_acquire,
                                                    memory_order_relaxed))
            return true;
        if (sys_now_ns() >= until_ns)
            return false;
        sys_sleep_ns(10 * NS_PER_MS);
    }
}

static int wait_for(const struct process *p, const struct page_mailbox *m, uint32_t ticket,
                    uint64_t until_ns)
{
    for (;;) {
        uint32_t done = atomic_load_explicit(&m->done, memory_order_acquire);
        uint64_t now = sys_now_ns();
        if (done == ticket)
            return 0;
        int rc = can_answer(p);
        if (rc < 0)
            return rc;
        if (now >= until_ns)
            return -ETIMEDOUT;
        (void)sys_futex_wait_shared(&m->done, done, u64_min(check_ns, until_ns - now));
    }
}

/* Withdraws our unanswered request, or that of a sender which ended while it waited: it must not be
 * executed with what is written there next. */
static void withdraw(struct page_mailbox *m)
{
    atomic_store_explicit(&m->command, (uint32_t)PAGE_COMMAND_NONE, memory_order_seq_cst);
    atomic_store_explicit(&m->done, atomic_load_explicit(&m->request, memory_order_seq_cst),
                          memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst); /* before argument and path change */
}

static int ask(const struct process *p, struct page_mailbox *m,
               const struct mailbox_request *request, uint64_t until_ns, int64_t *ret_result)
{
    withdraw(m);
    atomic_store_explicit(&m->argument, request->argument, memory_order_seq_cst);
    memcpy(m->path, request->path, sizeof(m->path));
    atomic_store_explicit(&m->command, (uint32_t)request->command, memory_order_seq_cst);
    uint32_t ticket = atomic_fetch_add_explicit(&m->request, 1, memory_order_seq_cst) + 1;
    atomic_fetch_add_explicit(&m->wake, 1, memory_order_seq_cst);
    (void)sys_futex_wake_shared(&m->wake, INT32_MAX);
    int rc = wait_for(p, m, ticket, until_ns);
    if (rc < 0)
        withdraw(m);
    else
        *ret_result = atomic_load_explicit(&m->result, memory_order_seq_cst);
    return rc;
}

int mailbox_ask(const struct process *p, const struct mailbox_request *request, int64_t *ret_result)
{
    struct page *page = NULL;
    struct sigaction handler = {.sa_handler = page_was_cut}, before;
    int rc = can_answer(p);
    rc = rc < 0 ? rc : map_page(p, &page);
    if (rc < 0 || page == NULL)
        return rc;
    uint64_t until_ns = sys_now_ns() + request->timeout_ms * NS_PER_MS;
    (void)sigaction(SIGBUS, &handler, &before);
    if (take_turn(p, &page->mailbox, until_ns)) {
        rc = ask(p, &page->mailbox, request, until_ns, ret_result);
        atomic_store_explicit(&page->mailbox.owner, 0, memory_order_release);
    } else {
        rc = -EBUSY;
    }
    (void)sigaction(SIGBUS, &before, NULL);
    (void)munmap(page, sizeof(*page));
    return rc;
}
