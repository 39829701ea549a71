/*
 * The files of stats pages: their names, whose process lives, and sweeping away those of the dead.
 *
 * No heap and no stdio: the library does the same as the command. Functions return 0 or -errno.
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
/* What it is called now; pid 0: this one. false: that cannot be read, *ret is "" then. */
bool page_comm(uint32_t pid, char ret[PAGE_COMM_MAX]);
/* Of this process; 0 if unknown. */
uint64_t page_pid_namespace(void);
/* AT_RANDOM, an address that each exec chooses anew, of another process; pid 0: this one. 0 if it
 * may not be looked at. */
uint64_t page_image(uint32_t pid);

enum page_life {
    PAGE_LIVES,
    PAGE_DEAD,      /* its process has ended */
    PAGE_REPLACED,  /* its process runs another program now (exec) */
    PAGE_ELSEWHERE, /* of another pid namespace, or hidden: cannot be told */
};
enum page_life page_life(const struct page_view *view);
/* By the wall clock, in nanoseconds: evidence of then is not kept any more. */
bool page_is_old(uint64_t written_ns, uint64_t now_ns);
/* Whether what a dead process left may tell why: it may have been killed for want of memory, or
 * have ended itself when it was refused some. Not when it is old. wall_ns: now. */
bool page_is_evidence(const struct page_view *view, uint64_t wall_ns);

/* When it was last written: wall clock, nanoseconds since 1970. */
uint64_t page_written_at(const struct page_view *view);

enum {
    PAGE_EVIDENCE_MAX = 16,      /* pages kept of processes that died at level critical */
    PAGE_EVIDENCE_HOURS = 24,    /* and for how long; then as many of other pid namespaces stay */
    PAGE_MAKING_S = 60,          /* seconds after which nobody still makes a page */
    PAGE_SWEEP_QUICK = 64,       /* pages that a sweep of the library reads, at most */
    PAGE_SWEEP_ALL = 1000 * 1000 /* likewise, of the command */
};
/*
 * Removes pages of this user's processes that are gone, but keeps the newest ones of those that
 * died at level critical. Of other pid namespaces those go that were not written for a day, but for
 * the newest. Pages that nobody finished go too; what else is no sound page is left alone. Reads
 * `look_at` pages at most, of a few times as many names; only a sweep of all also finds young pages
 * whose pids were given out anew.
 */
void page_sweep(const char *dir, unsigned look_at);

#endif
