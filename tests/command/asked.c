/*
 * A process for plimsoll ctl to ask something of, and whose flight records are read. Does what it
 * is told on stdin, a word and a number a line, and answers on stdout.
 *
 *   hold N         allocates N MiB more, in blocks of 8 KiB, and keeps them
 *   small_stack N  the same, on a thread with the smallest possible stack
 *   drop 0         frees all of that
 *   map N          maps N MiB outside of malloc and touches them
 *   soft 0         prints the soft limit
 *   reclaimer N    adds a reclaimer that frees up to N KiB in all of what is held
 *   stuck 0        adds one, from level critical on, that never returns
 *   forker 0       adds one, from level critical on, that forks and returns in parent and child
 */
#include <plimsoll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 8192 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *newest; /* each block begins with the address of the one before */

static void hold(long mib)
{
    for (long i = 0; i < mib * 1048576 / BLOCK; i++) {
        void *block = malloc(BLOCK);
        if (block == NULL)
            break;
        memset(block, 1, BLOCK);
        pthread_mutex_lock(&lock);
        memcpy(block, &newest, sizeof(newest));
        newest = block;
        pthread_mutex_unlock(&lock);
    }
}

static void *hold_on_thread(void *mib)
{
    hold(*(long *)mib);
    return NULL;
}

static void hold_on_small_stack(long mib)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)sysconf(_SC_THREAD_STACK_MIN));
    if (pthread_create(&thread, &attr, hold_on_thread, &mib) == 0)
        pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
}

static size_t drop(size_t most)
{
    size_t freed = 0;
    pthread_mutex_lock(&lock);
    while (newest != NULL && freed < most) {
        void *block = newest;
        memcpy(&newest, block, sizeof(newest));
        free(block);
        freed += BLOCK;
    }
    pthread_mutex_unlock(&lock);
    return freed;
}

static size_t reclaim(const struct plim_pressure *p, void *arg)
{
    size_t *left = arg;
    size_t freed = drop(p->target < *left ? p->target : *left);
    *left -= freed < *left ? freed : *left;
    return freed;
}

static size_t never_return(const struct plim_pressure *p, void *arg)
{
    while (pause() != 0)
        (void)p;
    return *(size_t *)arg;
}

/* The child's only thread ends with the call, and so the child ends. */
static size_t fork_inside(const struct plim_pressure *p, void *arg)
{
    pid_t pid = fork();
    (void)p;
    (void)arg;
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
    return 0;
}

static unsigned long long soft_limit(void)
{
    struct plim_limits limits = {.size = sizeof(limits)};
    return plim_limits(&limits) == 0 ? (unsigned long long)limits.soft : 0;
}

static void map(long mib)
{
    size_t len = (size_t)mib << 20;
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p != MAP_FAILED)
        memset(p, 1, len);
}

int main(void)
{
    char word[32];
    long n;
    static size_t left;
    setlinebuf(stdout);
    while (scanf("%31s %ld", word, &n) == 2) {
        if (strcmp(word, "hold") == 0)
            hold(n);
        else if (strcmp(word, "small_stack") == 0)
            hold_on_small_stack(n);
        else if (strcmp(word, "drop") == 0)
            (void)drop(SIZE_MAX);
        else if (strcmp(word, "map") == 0)
            map(n);
        else if (strcmp(word, "stuck") == 0)
            (void)plim_reclaimer_add("stuck", never_return, NULL, PLIM_CRITICAL);
        else if (strcmp(word, "forker") == 0)
            (void)plim_reclaimer_add("forker", fork_inside, NULL, PLIM_CRITICAL);
        else if (strcmp(word, "reclaimer") == 0) {
            left = (size_t)n << 10;
            (void)plim_reclaimer_add("cache of pages", reclaim, &left, PLIM_MEDIUM);
        }
        printf("%s %llu\n", word, strcmp(word, "soft") == 0 ? soft_limit() : 0);
    }
    return 0;
}
