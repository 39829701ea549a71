/* A library that keeps its lock consistent over forks: its constructor registers fork handlers,
 * after an allocation if ATFORK_ALLOCATES is set. With ATFORK_ONLY_ALLOCATES it only allocates. */
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
