/*
 * Preloaded with jemalloc: a thread in each process notes, 200 times a second, how much of the heap
 * is free space inside pages in use (jemalloc's active less allocated), in a file that all
 * processes share and BENCH_LIVE names. Pages that a child shares with its parent count for the
 * parent only.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 4096

struct slot {
    _Atomic int64_t pid;   /* 0: free; taken once, by compare and swap */
    _Atomic int64_t bytes; /* written by the process of pid only */
};

int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size);

static struct slot *slots;
static int64_t inherited;

static int64_t slack(void)
{
    uint64_t epoch = 1;
    size_t active = 0, allocated = 0, size = sizeof(size_t);
    mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
    mallctl("stats.active", &active, &size, NULL, 0);
    mallctl("stats.allocated", &allocated, &size, NULL, 0);
    return (int64_t)active - (int64_t)allocated;
}

/* After exec() a process finds its slot again. */
static struct slot *own_slot(void)
{
    int64_t pid = getpid();
    for (struct slot *slot = slots; slot < slots + SLOTS; slot++) {
        int64_t none = 0;
        if (atomic_compare_exchange_strong(&slot->pid, &none, pid) || none == pid)
            return slot;
    }
    abort();
}

static void *watch(void *unused)
{
    struct slot *slot = own_slot();
    for (;;) {
        int64_t bytes = slack() - inherited;
        atomic_store(&slot->bytes, bytes > 0 ? bytes : 0);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return unused;
}

static void start_watch(void)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the program's signals are for its own threads */
    pthread_create(&thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void start_in_child(void)
{
    inherited = slack();
    start_watch();
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("BENCH_LIVE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        abort();
    slots = mmap(NULL, SLOTS * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (slots == MAP_FAILED)
        abort();
    start_watch();
    pthread_atfork(NULL, NULL, start_in_child);
}
