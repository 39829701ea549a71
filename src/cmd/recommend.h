/* The smallest memory limit that a process needs, from what its stats page and /proc tell. */
#ifndef PLIM_CMD_RECOMMEND_H
#define PLIM_CMD_RECOMMEND_H

#include "stats_pages.h"

#include <jansson.h>

struct recommendation {
    uint64_t heap;    /* the most that the heap has had in use */
    uint64_t unseen;  /* what it may have had in use beyond that between two looks */
    uint64_t outside; /* anonymous and shared memory, and page tables, beside the heap, now */
    bool outside_known;
    uint64_t share; /* of the limit that may be in use before purging starts, in percent */
    uint64_t limit; /* bytes: (heap + unseen + outside) / share, in whole MiB, at least 16 */
};

void recommend(const struct process *process, struct recommendation *ret);
/* On stdout: the limit, as bytes and for Kubernetes, and how it was derived. */
void recommend_print(const struct process *process, const struct recommendation *r);
json_t *recommend_json(const struct process *process, const struct recommendation *r);

#endif
