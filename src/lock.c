/* Numbers for the threads that take locks, see lock.h. */
#include "lock.h"

_Thread_local uint32_t lock_number __attribute__((tls_model("initial-exec")));

/* Raised by any thread; relaxed, as numbers only have to differ. */
static _Atomic uint32_t given;

/* A signal handler in between may take another number, which is then forgotten: the handler has
 * released all that it took. */
uint32_t lock_give_number(void)
{
    do
        lock_number = (atomic_fetch_add_explicit(&given, 1, memory_order_relaxed) + 1) & INT32_MAX;
    while (lock_number == 0);
    return lock_number;
}
