/* Forks and threads. See glibc_like.c. */
#include "glibc_like.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4 };

/* --- fork in a signal handler that interrupts malloc (tst-mallocfork) --- */

static volatile sig_atomic_t children_failed, children_made;

static void fork_in_handler(int signal)
{
    (void)signal;
    int status = -1, before = errno;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        children_failed++;
    children_made++;
    errno = before;
}

void fork_in_signal_handler(void)
{
    enum { SIGNALS = 100 };
    children_failed = children_made = 0;
    signal(SIGUSR1, fork_in_handler);
    sigset_t it, before;
    sigemptyset(&it);
    sigaddset(&it, SIGUSR1);
    sigprocmask(SIG_BLOCK, &it, &before); /* signals must interrupt malloc, not fork */
    pid_t parent = getpid(), sender = fork();
    if (sender == 0) {
        for (int i = 0; i < SIGNALS; i++) {
            kill(parent, SIGUSR1);
            usleep(500);
        }
        _exit(0);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    int status = 0;
    while (waitpid(sender, &status, WNOHANG) == 0) {
        void *small = malloc(60 * opaque), *large = malloc(200000 * opaque);
        free(small);
        free(large);
    }
    signal(SIGUSR1, SIG_DFL);
    expect(children_made > 0 && children_failed == 0, "children forked in a handler failed");
}

/* --- forks among threads that use malloc and stdio (tst-mallocfork2, tst-malloc-fork-deadlock) */

static _Atomic bool finish; /* the main thread sets it; relaxed, threads are joined */

static void *use_heap_and_stdio(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    while (!atomic_load_explicit(&finish, memory_order_relaxed)) {
        char *text = NULL;
        size_t len = 0;
        FILE *file = open_memstream(&text, &len);
        if (!file)
            continue;
        for (int i = 0; i < 20; i++)
            fprintf(file, "%d %s\n", rand_r(&seed), "some text");
        fflush(NULL);
        fclose(file);
        free(text);
    }
    return NULL;
}

void fork_among_threads(void)
{
    enum { FORKS = 60 };
    pthread_t threads[THREADS];
    atomic_store(&finish, false);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, use_heap_and_stdio, (void *)i);
    for (int i = 0; i < FORKS; i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            char *text = NULL;
            if (asprintf(&text, "%d", i) < 0)
                _exit(1);
            free(text);
            free(malloc(300000 * opaque));
            _exit(0);
        }
        expect(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "a child failed");
    }
    atomic_store(&finish, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* --- threads come and go (tst-malloc-thread-exit, tst-malloc-tcache-leak) --- */

static void *leave_block(void *arg)
{
    void **kept = arg;
    free(*kept); /* allocated by another thread */
    *kept = malloc(4000 * opaque);
    free(malloc(100 * opaque));
    return NULL;
}

void threads_come_and_go(void)
{
    enum { ROUNDS = 2000 };
    void *kept[THREADS] = {NULL};
    struct mallinfo2 before = {0};
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) {
            if (pthread_create(&threads[i], NULL, leave_block, &kept[i]) != 0) {
                expect(false, "cannot start a thread");
                return;
            }
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        if (round == ROUNDS / 4)
            before = mallinfo2();
    }
    size_t grown = mallinfo2().uordblks - before.uordblks;
    /* Less than one of their blocks each: what a lost cache would have cost. */
    expect((ssize_t)grown < ROUNDS / 2 * 4000, "ended threads leave memory behind");
    for (int i = 0; i < THREADS; i++)
        free(kept[i]);
}

/* --- threads use up all there is, and can go on afterwards (tst-malloc-thread-fail) --- */

struct chain {
    struct chain *next;
};

static void *use_up(void *arg)
{
    struct chain *all = NULL, *next;
    size_t *count = arg;
    for (size_t size = 1 << 20; size >= sizeof(*all); size /= 2) {
        while ((next = malloc(size * opaque)) != NULL) {
            next->next = all;
            all = next;
            (*count)++;
        }
    }
    for (; all; all = next) {
        next = all->next;
        free(all);
    }
    return NULL;
}

static int child_uses_up(void)
{
    const struct rlimit all_there_is = {300 << 20, 300 << 20};
    pthread_t threads[THREADS];
    size_t counts[THREADS] = {0};
    unsigned started = 0;
    free(malloc(opaque));
    if (setrlimit(RLIMIT_AS, &all_there_is) != 0)
        return 1;
    for (unsigned i = 0; i < THREADS; i++)
        started += pthread_create(&threads[started], NULL, use_up, &counts[started]) == 0;
    size_t count = 0; /* of all threads together: some may have found nothing left */
    for (unsigned i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        count += counts[i];
    }
    void *block = malloc((1 << 20) * opaque);
    int status = count == 0 ? 2 : !block ? 3 : 0;
    free(block);
    return status;
}

void address_space_used_up(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(child_uses_up());
    expect(pid > 0 && waitpid(pid, &status, 0) == pid, "no child");
    expect(status == 0, "after all address space was used up, malloc did not go on");
}
