/*
 * Forks while one thread allocates under a lock that a library takes before each fork (atfork.c):
 * fork() must get that lock before the allocator's. Meanwhile others churn through blocks of
 * changing sizes, so that the allocator purges: the allocator's own locks must be taken before
 * jemalloc's, or a fork waits for 30 s. Prints "done"; SIGALRM ends it if it hangs.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FORKS = 100, BLOCKS = 64, BLOCK_SIZE = 100000, CHURNED = 800, LONG_S = 20 };

extern pthread_mutex_t atfork_lock;
static _Atomic int over;

static void *allocate(void *unused)
{
    void *blocks[BLOCKS];
    while (!atomic_load(&over)) {
        (void)pthread_mutex_lock(&atfork_lock);
        for (int i = 0; i < BLOCKS; i++)
            blocks[i] = malloc(BLOCK_SIZE);
        for (int i = 0; i < BLOCKS; i++)
            free(blocks[i]);
        (void)pthread_mutex_unlock(&atfork_lock);
        usleep(100);
    }
    return unused;
}

static void *churn(void *first)
{
    static _Thread_local void *blocks[CHURNED];
    unsigned seed = *(unsigned *)first;
    while (!atomic_load(&over)) {
        size_t size = 1000 + (size_t)rand_r(&seed) % 60000;
        for (int i = 0; i < CHURNED; i++) {
            blocks[i] = malloc(size);
            if (blocks[i] != NULL)
                memset(blocks[i], 1, size);
        }
        for (int i = 0; i < CHURNED; i++)
            free(blocks[i]);
    }
    return NULL;
}

static void forks(void)
{
    time_t began = time(NULL);
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        free(malloc(BLOCK_SIZE));
        _exit(0);
    }
    if (time(NULL) - began >= LONG_S)
        puts("a fork waited");
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        exit(1);
}

int main(void)
{
    static unsigned seeds[] = {1, 2};
    pthread_t threads[3];
    alarm(300);
    if (pthread_create(&threads[0], NULL, allocate, NULL) != 0 ||
        pthread_create(&threads[1], NULL, churn, &seeds[0]) != 0 ||
        pthread_create(&threads[2], NULL, churn, &seeds[1]) != 0)
        return 1;
    for (int i = 0; i < FORKS; i++)
        forks();
    atomic_store(&over, 1);
    for (int i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    puts("done");
    return 0;
}
