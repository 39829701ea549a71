/* A library that keeps its lock consistent over forks, and says so in its constructor. */
#include <pthread.h>

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
    (void)pthread_atfork(take, release, release);
}
