/* Asking a running process for something, through the mailbox of its stats page. */
#ifndef PLIM_CMD_MAILBOX_H
#define PLIM_CMD_MAILBOX_H

#include "stats_pages.h"

struct mailbox_request {
    enum page_command command;
    uint64_t argument;
    char path[PAGE_PATH_MAX];
    unsigned timeout_ms;
};

/*
 * Asks, and waits for the answer. 0, and *ret_result is what the process says: a value or -errno.
 * Else why there is none: -ESRCH the process has ended, -EALREADY it is stopped, -EBUSY somebody
 * else waits for an answer, -ETIMEDOUT it did not answer (and will not execute the request any
 * more), or another -errno from opening the page.
 */
int mailbox_ask(const struct process *process, const struct mailbox_request *request,
                int64_t *ret_result);

#endif
