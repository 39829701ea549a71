/* The lock of one word: it keeps others out, wakes them, and knows its holder. */
#include "lock.h"

#include <criterion/criterion.h>
#include <pthread.h>

static struct lock lock;

Test(lock, is_had_once_and_again_after_release)
{
    cr_expect(lock_try(&lock));
    cr_expect_not(lock_try(&lock));
    cr_expect_not(lock_take_within(&lock, 0));
    cr_expect_not(lock_take_within(&lock, NS_PER_MS));
    lock_release(&lock);
    cr_expect(lock_take_within(&lock, 0));
    lock_release(&lock);
    cr_expect_eq(atomic_load(&lock.word), 0);
}

/* Runs on another thread: asks whether that holds the lock, and tries to release it. */
static void *ask_whose(void *ret_own)
{
    *(bool *)ret_own = lock_is_own(&lock);
    lock_release(&lock); /* not this thread's lock: does nothing */
    return NULL;
}

Test(lock, belongs_to_the_thread_that_took_it)
{
    pthread_t other;
    bool others = true;
    cr_expect_not(lock_is_own(&lock));
    lock_take(&lock);
    cr_expect(lock_is_own(&lock));
    cr_assert_eq(pthread_create(&other, NULL, ask_whose, &others), 0);
    pthread_join(other, NULL);
    cr_expect_not(others);
    cr_expect(lock_is_own(&lock));
    lock_release(&lock);
    cr_expect_not(lock_is_own(&lock));
}

Test(lock, of_ones_own_is_not_waited_for_before_a_fork, .timeout = 60)
{
    lock_take(&lock);
    cr_expect_not(lock_take_unless_own(&lock, UINT64_MAX));
    cr_expect(lock_is_own(&lock));
    lock_release(&lock);
    cr_expect(lock_take_unless_own(&lock, UINT64_MAX));
    lock_release(&lock);
}

static void *wait_a_little(void *ret_had)
{
    *(bool *)ret_had = lock_take_within(&lock, 50 * NS_PER_MS);
    return NULL;
}

/* The waiter is the one that was woken, but another thread came first; without the mark no other
 * would be woken. */
Test(lock, says_that_it_is_wanted_when_a_waiter_gives_up, .timeout = 60)
{
    pthread_t waiter;
    bool had = true;
    lock_take(&lock);
    uint32_t own = atomic_load(&lock.word);
    cr_assert_eq(pthread_create(&waiter, NULL, wait_a_little, &had), 0);
    while (atomic_load(&lock.word) == own)
        sched_yield();
    sys_sleep_ns(10 * NS_PER_MS);  /* until the waiter sleeps, most probably */
    atomic_store(&lock.word, own); /* released, and taken again */
    pthread_join(waiter, NULL);
    cr_expect_not(had);
    cr_expect_eq(atomic_load(&lock.word), own | LOCK_WANTED);
    lock_release(&lock);
    cr_expect_eq(atomic_load(&lock.word), 0);
}

Test(lock, that_was_reset_is_not_released_for_its_new_holder)
{
    lock_take(&lock);
    lock_reset(&lock);
    lock_release(&lock);
    cr_expect(lock_try(&lock));
}

enum { THREADS = 4, TIMES = 20000 };

static unsigned count; /* written under the lock */

static void *count_up(void *arg)
{
    for (unsigned i = 0; i < TIMES; i++) {
        lock_take(&lock);
        count++;
        if (i % 64 == 0)
            sched_yield(); /* so that others wait */
        lock_release(&lock);
    }
    return arg;
}

Test(lock, lets_one_in_at_a_time_and_forgets_nobody, .timeout = 120)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_expect_eq(count, (unsigned)(THREADS * TIMES));
    cr_expect_eq(atomic_load(&lock.word), 0);
}
