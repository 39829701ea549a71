/*
 * How the watcher's threads are made, see watcher.h.
 *
 * Any thread's look may make one. The new thread must not inherit that thread's scheduling class or
 * CPUs: it would starve beside a control loop. Both are set only where they differ, and read from
 * files, since a filter may kill for the system calls.
 */
#include "watcher_internal.h"

#include "capacity.h"
#include "fmt.h"
#include "log.h"
#include "reclaimers.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

/* The stack that reclaimers are promised, see plimsoll.h. The C library puts every thread's
 * thread-local variables there as well. */
static const size_t stack_bytes = (size_t)1 << 20;
/* Where pthread_create() finds that too little, up to this much is tried: room kept for libraries
 * loaded later counts as well, and how much that is cannot be asked. */
static const size_t stack_most = (size_t)64 << 20;

/* The size of those variables of all that is loaded at the start; written then, read only after. */
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

/* The calling thread's scheduling class; -1: not known. */
static long policy(void)
{
    char text[1024];
    uint64_t value;
    if (sys_read_file("/proc/thread-self/stat", text, sizeof(text)) < 0 ||
        fmt_stat_field(text, 41, &value) < 0)
        return -1;
    return (long)value;
}

/* What the calling thread's status file says after `key`, as far as there is room. */
static bool status_line(const char *key, char *text, size_t size)
{
    uint64_t offset = 0, found = 0;
    size_t key_len = strlen(key);
    long len;
    int fd = sys_open("/proc/thread-self/status", 0);
    if (fd < 0)
        return false;
    while (found == 0 && (len = sys_pread(fd, text, size - 1, offset)) > (long)key_len) {
        text[len] = '\0';
        const char *at = strstr(text, key);
        found = at != NULL ? offset + (uint64_t)(at - text) + key_len : 0;
        offset += (uint64_t)len - key_len;
    }
    len = found > 0 ? sys_pread(fd, text, size - 1, found) : 0;
    sys_close(fd);
    text[len > 0 ? len : 0] = '\0';
    return len > 0;
}

static unsigned hex_digit(char c)
{
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* Whether the calling thread may not use some CPU that the first thread could at the start. */
static bool lacks_cpus(void)
{
    struct cpu_mask now = {0};
    enum { DIGITS = 2 * sizeof(now.bits[0]) };
    char text[700]; /* more than 2048 CPUs */
    size_t digit = 0;
    if (!status_line("\nCpus_allowed:\t", text, sizeof(text)))
        return false;
    size_t len = strspn(text, "0123456789abcdef,");
    if (text[len] != '\n')
        return true;
    for (; len > 0; len--) { /* the last digit is that of the first four CPUs */
        if (text[len - 1] == ',')
            continue;
        now.bits[digit / DIGITS] |= (unsigned long)hex_digit(text[len - 1]) << (digit % DIGITS * 4);
        digit++;
    }
    for (size_t i = 0; i < ARRAY_LEN(now.bits); i++) {
        if ((capacity_cpus_at_start()->bits[i] & ~now.bits[i]) != 0)
            return true;
    }
    return false;
}

static void set_class(pthread_attr_t *attr)
{
    const struct sched_param none = {0};
    pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(attr, SCHED_OTHER);
    pthread_attr_setschedparam(attr, &none);
}

static int create_as(bool own_class, bool own_cpus, size_t stack, void *(*body)(void *),
                     uint32_t turn)
{
    const struct cpu_mask *at_start = capacity_cpus_at_start();
    pthread_attr_t attr;
    pthread_t thread;
    int rc = pthread_attr_init(&attr);
    if (rc != 0)
        return rc;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, stack);
    if (own_class)
        set_class(&attr);
    if (own_cpus)
        (void)pthread_attr_setaffinity_np(&attr, sizeof(*at_start), (const cpu_set_t *)at_start);
    rc = pthread_create(&thread, &attr, body, (void *)(uintptr_t)turn);
    pthread_attr_destroy(&attr);
    return rc;
}

/* Scheduling class and CPUs that may not be set are left as they are. */
static int create(size_t stack, void *(*body)(void *), uint32_t turn)
{
    struct lock *no_fork = &watcher.events.lock; /* the child would keep what is open */
    lock_take(no_fork);
    bool own_class = policy() > SCHED_OTHER, own_cpus = lacks_cpus();
    lock_release(no_fork);
    int rc = create_as(own_class, own_cpus, stack, body, turn);
    if (own_class && own_cpus && (rc == EPERM || rc == EINVAL))
        rc = create_as(false, true, stack, body, turn);
    if ((own_class || own_cpus) && (rc == EPERM || rc == EINVAL))
        rc = create_as(false, false, stack, body, turn);
    return rc;
}

/* Signals are blocked: the program's handlers must not run here. Except those that the thread
 * itself raises, by a fault or by a system call that a filter traps: blocked, these end the
 * program. */
int watcher_create_thread(void *(*body)(void *), uint32_t turn)
{
    size_t stack = stack_bytes + tls_bytes;
    uint64_t before = sys_block_signals();
    int rc = create(stack, body, turn);
    while (rc == EINVAL && stack < stack_most)
        rc = create(stack *= 2, body, turn);
    sys_restore_signals(before);
    return rc;
}

void watcher_report_missing(int rc)
{
    char text[200];
    struct fmt f = FMT_INIT(text);
    bool concerns = reclaimers_count(PLIM_CRITICAL) > 0 &&
                    !atomic_exchange_explicit(&watcher.complained, true, memory_order_relaxed);
    fmt_str(&f, "the watcher thread could not be started (");
    fmt_str(&f, rc == EAGAIN ? "no room for a thread" : "error ");
    if (rc != EAGAIN)
        fmt_i64(&f, rc);
    fmt_str(&f,
            concerns ? "), so reclaimers are not called; it is tried again once a second" : ")");
    log_line(concerns ? LOG_WARN : LOG_INFO, text);
}
