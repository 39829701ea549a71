/*
 * Writes this process's stats page (stats_page.h): makes it once the heap is worth a look from
 * outside, fills it after each look, removes it at exit.
 *
 * One caller at a time: the look lock. No heap, no stdio; errno is kept.
 */
#ifndef PLIM_PUBLISH_H
#define PLIM_PUBLISH_H

#include "options.h"
#include "stats_page.h"

/* One look. `values` holds what stats_page.h lists, but for the peaks of looks, which are kept
 * here. */
struct publish_look {
    const uint64_t *values;
    const char *cgroup_path;
    uint32_t limit_path_len; /* of the cgroup whose limit binds, see page_snapshot */
    /* The heap in bytes as the look found it, before it purged anything. */
    uint64_t committed, active, dirty;
    uint64_t request; /* the allocation that was judged; 0: none */
    uint64_t granted; /* the part of it that will be in use, as far as a look can tell */
};

/* Makes the page when it is time: once 2 MiB are `committed`, or there is a watcher, or at once in
 * a directory that the user named. Returns whether there is a page to fill. */
bool publish_open(const struct options *options, uint64_t committed, bool watcher);
void publish(const struct publish_look *look);

/* The page, mapped until fork or exit; NULL: none. Any thread: its header is always consistent, its
 * figures are between two looks. */
struct page *publish_page(void);
/* In a forked child: the page is the parent's. It gets its own once the heap has grown on. */
void publish_fork_child(uint64_t committed);
/* At exit: removes the file. The mapping stays. */
void publish_end(void);

#endif
