/* A library that keeps its lock consistent over forks, and says so in its constructor: with
 * ATFORK_ALLOCATES set once it has allocated, with ATFORK_ONLY_ALLOCATES not at all. */
#include <pthread.h>
#include <stdlib.h>

pthread_mutex_t atfork_lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void)
{
    (void)pthread_mutex_lock(&atfork_lock);
}

static void release(void)
{
    (void)pthread_mutex_unlock(&atfork_lock);
}

__attribute__((constructor)) static void begin(void)
{
    const char *only = getenv("ATFORK_ONLY_ALLOCATES");
    if (only != NULL || getenv("ATFORK_ALLOCATES") != NULL)
        free(malloc(100));
    if (only == NULL)
        (void)pthread_atfork(take, release, release);
}
