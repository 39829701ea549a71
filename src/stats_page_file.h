/*
 * The files of stats pages: their names, whether their processes live, and removing those of the
 * dead.
 *
 * No heap and no stdio: the library uses this as well as the command. Functions return 0 or -errno.
 */
#ifndef PLIM_STATS_PAGE_FILE_H
#define PLIM_STATS_PAGE_FILE_H

#include "stats_page.h"

struct page_name {
    uint32_t pid;
    uint64_t start_time;
};

enum { PAGE_NAME_MAX = 48 }; /* bytes of a name, with its NUL */

/* "plimsoll.PID.STARTTIME" and nothing else. */
bool page_name_parse(const char *name, struct page_name *ret);
void page_name_print(const struct page_name *name, char text[PAGE_NAME_MAX]);

/* When a process started, in the kernel's ticks; pid 0: this one. -ENOENT or -ESRCH: it has
 * ended. */
int page_start_time(uint32_t pid, uint64_t *ret);
/* The process's present name; pid 0: this one. false: it cannot be read, ret is "" then. */
bool page_comm(uint32_t pid, char ret[PAGE_COMM_MAX]);
/* Inode of this process's pid namespace; 0 if unknown. */
uint64_t page_pid_namespace(void);
/* AT_RANDOM of a process, an address that each exec chooses anew; pid 0: this one. 0 if that may
 * not be read. */
uint64_t page_image(uint32_t pid);

enum page_life {
    PAGE_LIVES,
    PAGE_DEAD,      /* its process has ended */
    PAGE_REPLACED,  /* its process runs another program now (exec) */
    PAGE_ELSEWHERE, /* of another pid namespace, or hidden: cannot be told */
};
enum page_life page_life(const struct page_view *view);
/* Whether a page written then is too old to be kept as evidence. Wall clock, nanoseconds. */
bool page_is_old(uint64_t written_ns, uint64_t now_ns);
/* Whether a dead process's page may tell why it died: killed for want of memory, or by itself when
 * it was refused some. Not when the page is old. wall_ns: now. */
bool page_is_evidence(const struct page_view *view, uint64_t wall_ns);

/* When it was last written: wall clock, nanoseconds since 1970. */
uint64_t page_written_at(const struct page_view *view);

enum {
    PAGE_EVIDENCE_MAX = 16,      /* pages kept as evidence */
    PAGE_EVIDENCE_HOURS = 24,    /* and for how long; of other pid namespaces, as many older ones */
    PAGE_MAKING_S = 60,          /* after so many seconds an unfinished page is abandoned */
    PAGE_SWEEP_QUICK = 64,       /* pages that a sweep of the library reads, at most */
    PAGE_SWEEP_ALL = 1000 * 1000 /* the same for the command */
};
/*
 * Removes pages of this user's processes that are gone, but keeps the newest of those that are
 * evidence. Pages of other pid namespaces go once they were not written for a day, except the
 * newest. Pages that were never finished go too; other files that are no sound page are left alone.
 * Reads `look_at` pages at most, among a few times as many names; only a sweep of all also finds
 * young pages whose pids have been reused.
 */
void page_sweep(const char *dir, unsigned look_at);

#endif
