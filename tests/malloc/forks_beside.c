/*
 * Forks while another thread allocates under a lock that a library takes before each fork, see
 * atfork.c: who forks must get that lock before the allocator's. Prints "done"; is ended by SIGALRM
 * if it hangs.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 300, BLOCKS = 64, BLOCK_SIZE = 100000 };

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

int main(void)
{
    pthread_t thread;
    alarm(120);
    if (pthread_create(&thread, NULL, allocate, NULL) != 0)
        return 1;
    for (int i = 0; i < FORKS; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            free(malloc(BLOCK_SIZE));
            _exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            return 1;
    }
    atomic_store(&over, 1);
    (void)pthread_join(thread, NULL);
    puts("done");
    return 0;
}
