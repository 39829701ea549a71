/* Requests from outside, see control.h. */
#include "control.h"

#include "account.h"
#include "heap_profile.h"
#include "look.h"
#include "runtime.h"
#include "watcher.h"

#include <errno.h>
#include <string.h>

uint64_t control_set_limit(uint64_t bytes)
{
    struct limit_wish wish = runtime.options.wish;
    if (bytes != 0) {
        wish.kind = LIMIT_BYTES;
        wish.value = bytes;
    }
    struct look_turn turn = look_begin(UINT64_MAX);
    usage_set_wish(&look.usage, &wish);
    uint64_t soft = usage_soft(&look.usage);
    look_end(turn);
    account_look_now();
    watcher_wake();
    return soft;
}

static bool is_pending(const struct page_mailbox *m)
{
    return atomic_load_explicit(&m->request, memory_order_relaxed) !=
           atomic_load_explicit(&m->done, memory_order_relaxed);
}

void control_notice(void)
{
    const struct page_mailbox *mailbox =
        atomic_load_explicit(&watcher.mailbox, memory_order_seq_cst);
    if (is_pending(mailbox)) {
        watcher_start();
        watcher_wake();
    }
}

static int64_t limit(uint64_t bytes)
{
    if (bytes != 0 && (bytes < LIMIT_BYTES_MIN || bytes > INT64_MAX))
        return -EINVAL;
    return (int64_t)u64_min(control_set_limit(bytes), INT64_MAX);
}

/* Only a path that is terminated, and absolute. */
static int64_t profile(const char path[PAGE_PATH_MAX])
{
    if (path[0] != '/' || memchr(path, '\0', PAGE_PATH_MAX) == NULL)
        return -EINVAL;
    return heap_profile_write_new(path);
}

static int64_t execute(uint32_t command, uint64_t argument, const char path[PAGE_PATH_MAX])
{
    switch ((enum page_command)command) {
    case PAGE_COMMAND_NONE:
        return -ECANCELED;
    case PAGE_COMMAND_PURGE:
        return (int64_t)u64_min(look_purge(UINT64_MAX), INT64_MAX);
    case PAGE_COMMAND_LIMIT:
        return limit(argument);
    case PAGE_COMMAND_PROFILE:
        return profile(path);
    }
    return -ENOSYS; /* a later version's command */
}

void control_serve(struct page_mailbox *m)
{
    char path[PAGE_PATH_MAX];
    uint32_t request = atomic_load_explicit(&m->request, memory_order_acquire);
    uint32_t done = atomic_load_explicit(&m->done, memory_order_relaxed);
    if (request == done)
        return;
    uint32_t command = atomic_load_explicit(&m->command, memory_order_acquire);
    uint64_t argument = atomic_load_explicit(&m->argument, memory_order_relaxed);
    memcpy(path, m->path, sizeof(path));
    /* If it was withdrawn meanwhile, what was copied may be half of another request, whose sender
     * will wake us again. */
    atomic_thread_fence(memory_order_acquire);
    if (request != atomic_load_explicit(&m->request, memory_order_relaxed) ||
        done != atomic_load_explicit(&m->done, memory_order_relaxed) ||
        command != atomic_load_explicit(&m->command, memory_order_relaxed))
        return;
    int64_t result = execute(command, argument, path);
    atomic_store_explicit(&m->result, result, memory_order_relaxed);
    atomic_store_explicit(&m->done, request, memory_order_release);
    (void)sys_futex_wake_shared(&m->done, INT32_MAX);
}
