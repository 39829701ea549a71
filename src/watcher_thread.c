/* A thread of the watcher's, as it is made, see runtime.h. */
#include "runtime.h"

#include "log.h"
#include "reclaimers.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>

/* What reclaimers have, see plimsoll.h. The C library takes the thread-local variables that all
 * threads have from it as well. */
static const size_t stack_bytes = (size_t)1 << 20;
/* Where that is too little, more is tried: what is kept free for libraries loaded later counts as
 * well, and nobody tells how much that is. */
static const size_t stack_most = (size_t)1 << 30;

/* Those variables of all that is loaded at the start; written there, read only after. */
static size_t tls_bytes;

static int add_tls(struct dl_phdr_info *info, size_t size, void *sum)
{
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_TLS)
            *(size_t *)sum += info->dlpi_phdr[i].p_memsz + info->dlpi_phdr[i].p_align;
    }
    return 0;
}

void watcher_measure(void)
{
    tls_bytes = 0;
    (void)dl_iterate_phdr(add_tls, &tls_bytes);
}

static int create(size_t stack, void *(*body)(void *), uint32_t turn)
{
    pthread_attr_t attr;
    pthread_t thread;
    int rc = pthread_attr_init(&attr);
    if (rc != 0)
        return rc;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, stack);
    rc = pthread_create(&thread, &attr, body, (void *)(uintptr_t)turn);
    pthread_attr_destroy(&attr);
    return rc;
}

/* All signals blocked: they are the program's, and its handlers must not run here. */
int watcher_create_thread(void *(*body)(void *), uint32_t turn)
{
    sigset_t all, before;
    size_t stack = stack_bytes + tls_bytes;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = create(stack, body, turn);
    while (rc == EINVAL && stack < stack_most)
        rc = create(stack *= 2, body, turn);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

void watcher_report_missing(int rc)
{
    static _Atomic bool told; /* by whoever tries to start it */
    char text[200];
    struct fmt f = FMT_INIT(text);
    bool concerns = reclaimers_count(PLIM_CRITICAL) > 0 && !atomic_load(&told);
    fmt_str(&f, "the watcher thread could not be started (");
    fmt_str(&f, rc == EAGAIN ? "no room for a thread" : "error ");
    if (rc != EAGAIN)
        fmt_i64(&f, rc);
    fmt_str(&f,
            concerns ? "), so reclaimers are not called; it is tried again once a second" : ")");
    log_line(concerns ? LOG_WARN : LOG_INFO, text);
    atomic_store(&told, atomic_load(&told) || concerns);
}
