/* Removing a reclaimer, and stopping all of them, while calls run: none is called afterwards. */
#include "reclaimers_case.h"
#include "sys.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/resource.h>

struct gate_call {
    sem_t begun, may_end;
    _Atomic bool ended;
};

static size_t wait_to_end(const struct plim_pressure *p, void *arg)
{
    struct gate_call *call = arg;
    (void)p;
    sem_post(&call->begun);
    while (sem_wait(&call->may_end) != 0)
        ;
    atomic_store(&call->ended, true);
    return 0;
}

static void *run_once(void *arg)
{
    (void)arg;
    (void)run(PLIM_CRITICAL, MiB);
    return NULL;
}

struct removal {
    int id;
    struct gate_call *call;
    _Atomic bool returned;
    bool ended_before;
};

static void *remove_it(void *arg)
{
    struct removal *removal = arg;
    (void)reclaimers_remove(removal->id);
    removal->ended_before = atomic_load(&removal->call->ended);
    atomic_store(&removal->returned, true);
    return NULL;
}

static void call_init(struct gate_call *call)
{
    sem_init(&call->begun, 0, 0);
    sem_init(&call->may_end, 0, 0);
    atomic_store(&call->ended, false);
}

Test(reclaimers_threads, remove_waits_for_the_call_to_end, .timeout = 60)
{
    static struct gate_call call;
    static struct removal removal;
    pthread_t runner, remover;
    call_init(&call);
    removal.call = &call;
    removal.id = reclaimers_add("slow", wait_to_end, &call, PLIM_LOW);
    pthread_create(&runner, NULL, run_once, NULL);
    while (sem_wait(&call.begun) != 0)
        ;
    pthread_create(&remover, NULL, remove_it, &removal);
    sys_sleep_ns(100 * NS_PER_MS); /* time to return too early, which would be wrong */
    cr_expect_not(atomic_load(&removal.returned));
    sem_post(&call.may_end);
    pthread_join(remover, NULL);
    cr_expect(removal.ended_before);
    pthread_join(runner, NULL);
}

Test(reclaimers_threads, remove_does_not_wait_for_another_ones_call, .timeout = 60)
{
    static struct gate_call call;
    struct probe probe = {0};
    pthread_t runner;
    call_init(&call);
    (void)reclaimers_add("slow", wait_to_end, &call, PLIM_LOW);
    int other = reclaimers_add("other", count_call, &probe, PLIM_LOW);
    pthread_create(&runner, NULL, run_once, NULL);
    while (sem_wait(&call.begun) != 0)
        ;
    cr_expect_eq(reclaimers_remove(other), 0);
    cr_expect_not(atomic_load(&call.ended));
    sem_post(&call.may_end);
    pthread_join(runner, NULL);
    cr_expect_eq(probe.calls, 0u);
}

/* Another thread adds and removes reclaimers during passes: a removed one's argument is never
 * used. */
struct churn {
    _Atomic bool stop;
    _Atomic uint32_t misuses;
};
static struct churn churn;

struct guarded {
    _Atomic bool valid;
};

static size_t use_argument(const struct plim_pressure *p, void *arg)
{
    struct guarded *g = arg;
    (void)p;
    if (!atomic_load(&g->valid))
        atomic_fetch_add(&churn.misuses, 1);
    sched_yield();
    if (!atomic_load(&g->valid))
        atomic_fetch_add(&churn.misuses, 1);
    return 0;
}

static void *add_and_remove(void *arg)
{
    struct guarded g;
    (void)arg;
    for (unsigned i = 0; i < 3000; i++) {
        atomic_store(&g.valid, true);
        int id = reclaimers_add("churn", use_argument, &g, PLIM_LOW);
        sched_yield();
        if (id < 0 || reclaimers_remove(id) != 0)
            atomic_fetch_add(&churn.misuses, 1);
        atomic_store(&g.valid, false);
    }
    return NULL;
}

static void *run_on(void *arg)
{
    (void)arg;
    while (!atomic_load(&churn.stop))
        (void)run(PLIM_CRITICAL, MiB);
    return NULL;
}

Test(reclaimers_threads, no_argument_is_used_after_remove_returned, .timeout = 300)
{
    pthread_t editors[3], runner;
    pthread_create(&runner, NULL, run_on, NULL);
    for (size_t i = 0; i < ARRAY_LEN(editors); i++)
        pthread_create(&editors[i], NULL, add_and_remove, NULL);
    for (size_t i = 0; i < ARRAY_LEN(editors); i++)
        pthread_join(editors[i], NULL);
    atomic_store(&churn.stop, true);
    pthread_join(runner, NULL);
    cr_expect_eq(atomic_load(&churn.misuses), 0u);
}

/* --- stop --- */

Test(reclaimers_threads, after_stop_nothing_is_called)
{
    struct probe probe = {0};
    int id = reclaimers_add("x", count_call, &probe, PLIM_LOW);
    reclaimers_stop();
    (void)run(PLIM_CRITICAL, MiB);
    cr_expect_eq(probe.calls, 0u);
    cr_expect_eq(reclaimers_count(PLIM_CRITICAL), 0u);
    cr_expect_eq(reclaimers_remove(id), 0, "removing still works");
}

Test(reclaimers_threads, stop_waits_for_the_call_but_not_for_ever, .timeout = 60)
{
    static struct gate_call call;
    pthread_t runner;
    call_init(&call);
    (void)reclaimers_add("slow", wait_to_end, &call, PLIM_LOW);
    pthread_create(&runner, NULL, run_once, NULL);
    while (sem_wait(&call.begun) != 0)
        ;
    uint64_t start = sys_now_ns();
    reclaimers_stop();
    cr_expect_geq(sys_now_ns() - start, NS_PER_S, "it waited");
    cr_expect_not(atomic_load(&call.ended));
    sem_post(&call.may_end);
    reclaimers_stop();
    pthread_join(runner, NULL);
    cr_expect(atomic_load(&call.ended));
}

/* How often this thread has gone to sleep. */
static long sleeps(void)
{
    struct rusage now;
    cr_assert_eq(getrusage(RUSAGE_THREAD, &now), 0);
    return now.ru_nvcsw;
}

/* As exit() from inside a call does. If this took long without a sleep, it was kept from the
 * CPU. */
static size_t stop_all(const struct plim_pressure *p, void *arg)
{
    uint64_t start = sys_now_ns();
    long before = sleeps();
    (void)p, (void)arg;
    reclaimers_stop();
    cr_expect(sys_now_ns() - start < NS_PER_S || sleeps() == before);
    return 0;
}

Test(reclaimers_threads, stop_from_inside_does_not_wait_for_itself, .timeout = 60)
{
    struct probe probe = {0};
    (void)reclaimers_add("stop", stop_all, NULL, PLIM_LOW);
    (void)reclaimers_add("x", count_call, &probe, PLIM_LOW);
    (void)run(PLIM_LOW, MiB);
    cr_expect_eq(probe.calls, 0u);
}
