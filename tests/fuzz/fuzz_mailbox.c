/*
 * Feeds the library's side of plimsoll ctl with any mailbox, and changes it while a request is
 * being executed, as another process may. The input is the mailbox, followed by what overwrites it
 * meanwhile. Built with clang's libFuzzer; run by tests/fuzz/run.
 */
#include "../../src/account.h"
#include "../../src/control.h"
#include "../../src/heap_profile.h"
#include "../../src/look.h"
#include "../../src/runtime.h"
#include "../../src/watcher.h"
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct runtime runtime;
struct look look;
struct watcher watcher;
struct gate gate;
struct account account;
const size_t account_new = 0;

static struct {
    struct page_mailbox *mailbox;
    const uint8_t *then;
    size_t then_len;
    unsigned executed, woken;
    bool looking;
} own;

/* The other process goes on writing. */
static void meanwhile(void)
{
    own.executed++;
    if (own.then_len > 0)
        memcpy((void *)own.mailbox, own.then, u64_min(own.then_len, sizeof(*own.mailbox)));
}

/* --- what control.c calls --- */

uint64_t look_purge(uint64_t bytes)
{
    hold(bytes == UINT64_MAX);
    meanwhile();
    return own.then_len * GiB * GiB;
}

struct look_turn look_begin(uint64_t within_ns)
{
    hold(!own.looking && within_ns == UINT64_MAX);
    own.looking = true;
    return (struct look_turn){.had = true};
}

void look_end(struct look_turn turn)
{
    hold(own.looking && turn.had);
    own.looking = false;
}

void usage_set_wish(struct usage *u, const struct limit_wish *wish)
{
    hold(u == &look.usage && wish->profile == runtime.options.wish.profile);
    hold(wish->kind == runtime.options.wish.kind ||
         (wish->kind == LIMIT_BYTES && wish->value >= MiB && wish->value <= INT64_MAX));
    hold(own.looking);
    meanwhile();
}

uint64_t usage_soft(const struct usage *u)
{
    return u->alone.soft;
}

/* The path must not be the mailbox's own text, which may change at any time. */
int heap_profile_write_new(const char *path)
{
    const char *from = (const char *)own.mailbox;
    hold(path < from || path >= from + sizeof(*own.mailbox));
    hold(path[0] == '/' && strnlen(path, PAGE_PATH_MAX) < PAGE_PATH_MAX);
    meanwhile();
    return -EEXIST;
}

void watcher_start(void) {}

void watcher_wake(void)
{
    own.woken++;
}

/* --- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct page_mailbox *m = calloc(1, sizeof(*m));
    hold(m != NULL);
    size_t first = (size_t)u64_min(len, sizeof(*m));
    memcpy((void *)m, data, first);
    memset(&own, 0, sizeof(own));
    own.mailbox = m;
    own.then = data + first;
    own.then_len = len - first;

    uint32_t request = m->request;
    bool pending = request != m->done;
    atomic_store(&watcher.mailbox, m);
    control_notice();
    hold((own.woken > 0) == pending);
    control_serve(m);
    hold(own.executed <= 1 && (pending || own.executed == 0));
    hold(!pending || m->done == request);
    hold(!own.looking);
    if (pending && own.executed == 0)
        hold(m->result == -ECANCELED || m->result == -EINVAL || m->result == -ENOSYS);
    /* The request is answered: without a new one from the other process it must not be executed
     * again. */
    own.executed = 0;
    own.then_len = 0;
    m->request = m->done;
    control_serve(m);
    hold(own.executed == 0);
    free(m);
    return 0;
}
