/* Large requests of the program's threads, as other threads see them. */
#include "requests.h"

#include <criterion/criterion.h>
#include <pthread.h>

_Thread_local struct thread_state thread_state __attribute__((tls_model("initial-exec")));

static uint64_t now_ns = NS_PER_S;

/* Each test is a process of its own. */
static void limit(uint64_t bytes)
{
    requests_look(now_ns, bytes);
}

static void pass(uint64_t ns)
{
    now_ns += ns;
    limit(GiB);
}

static void *do_it(void *what)
{
    void (*const *it)(void) = what;
    (*it)();
    return NULL;
}

/* On a thread that has ended without telling. */
static void elsewhere(void (*it)(void))
{
    pthread_t id;
    cr_assert_eq(pthread_create(&id, NULL, do_it, &it), 0);
    cr_assert_eq(pthread_join(id, NULL), 0);
}

static void take(uint64_t bytes)
{
    requests_promise(bytes);
    requests_served();
}

static void take_8(void)
{
    take(8 * MiB);
}

static void promise_8(void)
{
    requests_promise(8 * MiB);
}

static void see_8_promised(void)
{
    cr_expect_eq(requests_promised(), 8 * MiB);
}

static void see_none_promised(void)
{
    cr_expect_eq(requests_promised(), 0u);
}

static void see_8_lately(void)
{
    cr_expect_eq(requests_lately(), 8 * MiB);
}

static void see_none_lately(void)
{
    cr_expect_eq(requests_lately(), 0u);
}

static void see_8_waited_for(void)
{
    cr_expect_eq(requests_waiting(), 8 * MiB);
}

Test(requests, others_see_what_is_promised_until_it_is_served)
{
    requests_promise(8 * MiB);
    requests_promise(8 * MiB);
    see_none_promised();
    elsewhere(see_8_promised);
    requests_served();
    elsewhere(see_none_promised);
}

Test(requests, no_more_is_promised_than_fits)
{
    limit(GiB);
    elsewhere(promise_8);
    cr_expect(requests_promise_within(8 * MiB, 16 * MiB + 1));
    requests_served();
    cr_expect_not(requests_promise_within(8 * MiB, 16 * MiB));
    elsewhere(see_8_promised);
}

Test(requests, each_thread_counts_with_its_largest_of_late)
{
    limit(GiB);
    for (int i = 0; i < 100; i++)
        take(MiB);
    take(8 * MiB);
    take(2 * MiB);
    see_none_lately();
    elsewhere(see_8_lately);
    elsewhere(take_8);
    see_8_lately();
    elsewhere(take_8);
    cr_expect_eq(requests_lately(), 16 * MiB);
}

Test(requests, for_one_to_two_seconds)
{
    limit(GiB);
    take_8();
    pass(NS_PER_S);
    elsewhere(see_8_lately);
    take_8();
    elsewhere(see_8_lately);
    pass(NS_PER_S);
    elsewhere(see_8_lately);
    pass(NS_PER_S);
    elsewhere(see_none_lately);
    take_8();
    pass(5 * NS_PER_S);
    elsewhere(see_none_lately);
    see_none_lately();
}

Test(requests, not_while_it_waits)
{
    limit(GiB);
    take_8();
    requests_wait_begin(8 * MiB);
    elsewhere(see_none_lately);
    elsewhere(see_8_waited_for);
    cr_expect_eq(requests_waiting(), 0u);
    requests_wait_end(8 * MiB);
    cr_expect_eq(requests_waiting(), 0u);
    take_8();
    elsewhere(see_8_lately);
}

Test(requests, what_was_taken_in_the_spell_before_counts_no_more_then_either)
{
    limit(GiB);
    take_8();
    pass(NS_PER_S);
    requests_wait_begin(8 * MiB);
    elsewhere(see_none_lately);
}

static void take_8_and_end(void)
{
    take_8();
    requests_thread_ends();
}

Test(requests, nor_do_threads_that_have_ended)
{
    limit(GiB);
    elsewhere(take_8_and_end);
    see_none_lately();
}

Test(requests, what_can_never_be_touched_as_a_whole_does_not_count)
{
    limit(8 * MiB);
    take_8();
    elsewhere(see_none_lately);
}

Test(requests, in_a_child_of_fork_only_the_forking_thread_counts)
{
    limit(GiB);
    elsewhere(take_8);
    elsewhere(promise_8);
    requests_promise(2 * MiB);
    requests_fork_child();
    cr_expect_eq(requests_promised(), 0u);
    see_none_lately();
    requests_served();
    elsewhere(see_none_promised);
    cr_expect_eq(atomic_load(&requests.promised), 0u);
}
