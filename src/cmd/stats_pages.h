/*
 * Reads the stats pages of running processes. Nothing in them is trusted: each is copied by
 * pread(2), so that one which is cut short meanwhile cannot hurt, and taken apart by page_parse().
 */
#ifndef PLIM_CMD_STATS_PAGES_H
#define PLIM_CMD_STATS_PAGES_H

#include "../stats_page_file.h"

struct process {
    struct page_view view; /* its ring is inside `copy` */
    enum page_life life;
    uint32_t owner;           /* of the file: the user that the page names may be made up */
    char comm[PAGE_COMM_MAX]; /* the process's present name, or the last one */
    char *path;               /* of the page */
    void *copy;               /* NULL unless the history was asked for and the process lives */
};

struct pages {
    struct process *list; /* those that live, by pid */
    size_t count;
    struct process *dead; /* those that died at level critical and were kept, newest first; of each
                             owner the newest PAGE_EVIDENCE_MAX */
    size_t dead_count;
    size_t elsewhere_count;   /* of other pid namespaces: whether those live is not known */
    struct process elsewhere; /* the one of these written last, if there is any */
    size_t other_versions;    /* pages of other major versions, which cannot be read */
    uint64_t now_ns;          /* monotonic clock, when they were read */
};

/* Reads all pages that can be read: in $PLIMSOLL_STATS if that names a directory, else in all
 * directories that "auto" means for any user. history: with the rings of those that live. 0 or
 * -ENOMEM. */
int pages_read(bool history, struct pages *ret);
/* The same without history, but with that process's page even if it is in another directory; pid 0:
 * no such process. */
int pages_read_for(uint64_t pid, struct pages *ret);
void pages_free(struct pages *pages);
/* NULL: none. */
const struct process *pages_find(const struct pages *pages, uint64_t pid);

/* Whether process `by` has that process's page mapped; true also where that may not be looked at.
 */
bool process_page_mapped_by(const struct process *process, uint64_t by);

void process_free(struct process *process);

/* Removes pages that processes of this user have left behind, in the same directories. */
void pages_sweep(void);

#endif
