/* The table of reclaimers: which ones are called, and that none is called after it was removed. */
#include "reclaimers.h"

#include "sys.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/resource.h>

struct probe {
    unsigned calls;
    uint64_t target;
    size_t gives;
};

static size_t count_call(const struct plim_pressure *p, void *arg)
{
    struct probe *probe = arg;
    probe->calls++;
    probe->target = p->target;
    return probe->gives;
}

/* A pass while `usage` is in use. */
static struct reclaimers_result run_at(uint64_t usage, enum plim_level level, uint64_t target)
{
    struct plim_pressure p = {.size = sizeof(p), .level = level, .usage = usage, .target = target};
    struct reclaimers_result result;
    reclaimers_run(&p, false, &result);
    return result;
}

/* A pass that goes on because what the last one reported was not so. */
static void go_on(uint64_t target)
{
    struct plim_pressure p = {
        .size = sizeof(p), .level = PLIM_CRITICAL, .usage = GiB, .target = target};
    struct reclaimers_result result;
    reclaimers_run(&p, true, &result);
}

static struct reclaimers_result run(enum plim_level level, uint64_t target)
{
    return run_at(GiB, level, target);
}

/* --- the table --- */

Test(reclaimers, bad_arguments_are_refused)
{
    cr_expect_eq(reclaimers_add("x", NULL, NULL, PLIM_LOW), -EINVAL);
    cr_expect_eq(reclaimers_add("x", count_call, NULL, (enum plim_level) - 1), -EINVAL);
    cr_expect_eq(reclaimers_add("x", count_call, NULL, (enum plim_level)4), -EINVAL);
    for (enum plim_level at = PLIM_NORMAL; at <= PLIM_CRITICAL; at++)
        cr_expect_eq(reclaimers_count(at), 0u);
}

Test(reclaimers, name_may_be_missing_or_long)
{
    struct probe probe = {0};
    char name[400];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    cr_expect_geq(reclaimers_add(NULL, count_call, &probe, PLIM_LOW), 0);
    cr_expect_geq(reclaimers_add(name, count_call, &probe, PLIM_LOW), 0);
    (void)run(PLIM_LOW, MiB);
    cr_expect_eq(probe.calls, 2u);
}

Test(reclaimers, sixty_four_fit_and_no_more)
{
    struct probe probe = {0};
    int ids[RECLAIMERS_MAX];
    for (unsigned i = 0; i < RECLAIMERS_MAX; i++) {
        ids[i] = reclaimers_add("x", count_call, &probe, PLIM_LOW);
        cr_assert_geq(ids[i], 0);
        for (unsigned j = 0; j < i; j++)
            cr_assert_neq(ids[i], ids[j]);
    }
    cr_expect_eq(reclaimers_add("x", count_call, &probe, PLIM_LOW), -ENOSPC);
    (void)run(PLIM_CRITICAL, MiB);
    cr_expect_eq(probe.calls, (unsigned)RECLAIMERS_MAX);
    cr_expect_eq(reclaimers_remove(ids[17]), 0);
    cr_expect_geq(reclaimers_add("x", count_call, &probe, PLIM_LOW), 0);
    cr_expect_eq(reclaimers_add("x", count_call, &probe, PLIM_LOW), -ENOSPC);
}

Test(reclaimers, removed_id_stays_unknown_though_its_place_is_used_again)
{
    struct probe probe = {0};
    int first = reclaimers_add("x", count_call, &probe, PLIM_LOW);
    cr_assert_eq(reclaimers_remove(first), 0);
    for (unsigned i = 0; i < 1000; i++) {
        int id = reclaimers_add("x", count_call, &probe, PLIM_LOW);
        cr_assert_geq(id, 0);
        cr_assert_neq(id, first);
        cr_assert_eq(reclaimers_remove(first), -ENOENT);
        cr_assert_eq(reclaimers_remove(id), 0);
        cr_assert_eq(reclaimers_remove(id), -ENOENT, "twice");
    }
    (void)run(PLIM_CRITICAL, MiB);
    cr_expect_eq(probe.calls, 0u);
}

Test(reclaimers, ids_that_never_were_are_unknown)
{
    const int ids[] = {0, 1, 63, 64, -1, -64, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        cr_expect_eq(reclaimers_remove(ids[i]), -ENOENT, "%d", ids[i]);
}

Test(reclaimers, ids_stay_positive_over_millions_of_uses_of_one_place)
{
    struct probe probe = {0};
    for (unsigned i = 0; i < 20 * 1000 * 1000; i++) {
        int id = reclaimers_add("x", count_call, &probe, PLIM_LOW);
        cr_assert_geq(id, 0, "use %u", i);
        cr_assert_eq(reclaimers_remove(id), 0, "use %u", i);
    }
}

Test(reclaimers, count_is_by_level)
{
    struct probe probe = {0};
    int low = reclaimers_add("low", count_call, &probe, PLIM_LOW);
    (void)reclaimers_add("critical", count_call, &probe, PLIM_CRITICAL);
    cr_expect_eq(reclaimers_count(PLIM_NORMAL), 0u);
    cr_expect_eq(reclaimers_count(PLIM_LOW), 1u);
    cr_expect_eq(reclaimers_count(PLIM_MEDIUM), 1u);
    cr_expect_eq(reclaimers_count(PLIM_CRITICAL), 2u);
    cr_assert_eq(reclaimers_remove(low), 0);
    cr_expect_eq(reclaimers_count(PLIM_LOW), 0u);
    cr_expect_eq(reclaimers_count(PLIM_CRITICAL), 1u);
}

/* --- calls --- */

Test(reclaimers, who_says_more_than_it_freed_does_not_keep_the_others_from_their_turn)
{
    struct probe says_all[2] = {{.gives = GiB}, {.gives = GiB}}, frees = {.gives = MiB};
    (void)reclaimers_add("says all", count_call, &says_all[0], PLIM_LOW);
    (void)reclaimers_add("says all", count_call, &says_all[1], PLIM_LOW);
    (void)reclaimers_add("frees", count_call, &frees, PLIM_LOW);
    (void)run(PLIM_CRITICAL, MiB);
    (void)run(PLIM_CRITICAL, MiB);
    cr_expect_eq(says_all[0].calls, 2u, "it is believed at first");
    cr_expect_eq(says_all[1].calls, 0u);
    go_on(MiB);
    cr_expect_eq(says_all[1].calls, 1u);
    go_on(MiB);
    cr_expect_eq(frees.calls, 1u);
    go_on(MiB);
    cr_expect_eq(says_all[0].calls, 3u, "from the beginning again");
}

Test(reclaimers, only_those_from_the_level_down_are_called)
{
    struct probe probes[PLIM_CRITICAL + 1] = {0};
    for (enum plim_level from = PLIM_NORMAL; from <= PLIM_CRITICAL; from++)
        (void)reclaimers_add("x", count_call, &probes[from], from);
    cr_expect_eq(run(PLIM_MEDIUM, MiB).calls, 3u);
    cr_expect_eq(probes[PLIM_NORMAL].calls, 1u);
    cr_expect_eq(probes[PLIM_LOW].calls, 1u);
    cr_expect_eq(probes[PLIM_MEDIUM].calls, 1u);
    cr_expect_eq(probes[PLIM_CRITICAL].calls, 0u);
}

Test(reclaimers, each_is_asked_for_what_is_still_missing)
{
    struct probe a = {.gives = 3 * MiB}, b = {.gives = 0}, c = {.gives = 9 * MiB}, d = {0};
    (void)reclaimers_add("a", count_call, &a, PLIM_LOW);
    (void)reclaimers_add("b", count_call, &b, PLIM_LOW);
    (void)reclaimers_add("c", count_call, &c, PLIM_LOW);
    (void)reclaimers_add("d", count_call, &d, PLIM_LOW);
    struct reclaimers_result result = run(PLIM_LOW, 10 * MiB);
    cr_expect_eq(a.target, 10 * MiB);
    cr_expect_eq(b.target, 7 * MiB);
    cr_expect_eq(c.target, 7 * MiB);
    cr_expect_eq(d.calls, 0u, "nothing is missing any more");
    cr_expect_eq(result.calls, 3u);
    cr_expect_eq(result.asked, 10 * MiB);
    cr_expect_eq(result.freed, 12 * MiB);
}

/* A reclaimer may count entries, not bytes; by the next pass the program may have been killed. */
Test(reclaimers, who_gives_little_a_call_is_called_again)
{
    struct probe little = {.gives = 16 * KiB}, nothing = {0};
    (void)reclaimers_add("little", count_call, &little, PLIM_LOW);
    (void)reclaimers_add("nothing", count_call, &nothing, PLIM_LOW);
    struct reclaimers_result result = run(PLIM_LOW, 50 * KiB);
    cr_expect_eq(little.calls, 4u);
    cr_expect_eq(little.target, 2 * KiB);
    cr_expect_eq(nothing.calls, 3u);
    cr_expect_eq(result.freed, 64 * KiB);
    cr_expect_eq(result.asked, 50 * KiB);
}

static size_t give_a_byte_slowly(const struct plim_pressure *p, void *arg)
{
    struct probe *probe = arg;
    (void)p;
    probe->calls++;
    sys_sleep_ns(NS_PER_MS);
    return 1;
}

/* What a reclaimer reports may be wrong, which only the look after the pass shows. */
Test(reclaimers, but_not_for_long)
{
    struct probe probe = {0};
    (void)reclaimers_add("slow", give_a_byte_slowly, &probe, PLIM_LOW);
    (void)run(PLIM_LOW, MiB);
    cr_expect(probe.calls >= 1 && probe.calls <= 5, "%u calls", probe.calls);
}

/* plim_reclaim(UINT64_MAX) asks for more, and a callback that returns -1 gives more. */
Test(reclaimers, no_more_is_asked_for_or_given_than_is_in_use)
{
    struct reclaimer_info info;
    struct probe a = {.gives = MiB}, b = {.gives = SIZE_MAX};
    (void)reclaimers_add("a", count_call, &a, PLIM_LOW);
    (void)reclaimers_add("b", count_call, &b, PLIM_LOW);
    for (uint64_t i = 1; i <= 3; i++) {
        struct reclaimers_result result = run(PLIM_LOW, UINT64_MAX);
        cr_expect_eq(result.calls, 2);
        cr_expect_eq(result.asked, GiB);
        cr_expect_eq(result.freed, GiB + MiB);
        cr_expect(reclaimers_info(0, &info) && info.asked == i * GiB && info.freed == i * MiB);
        cr_expect(reclaimers_info(1, &info) && info.asked == i * GiB && info.freed == i * GiB);
    }
    cr_expect_eq(a.target, UINT64_MAX, "all there is");
}

Test(reclaimers, nor_than_the_machine_has_where_nobody_knows_what_is_in_use)
{
    struct probe a = {.gives = SIZE_MAX};
    (void)reclaimers_add("a", count_call, &a, PLIM_LOW);
    struct reclaimers_result result = run_at(UNLIMITED, PLIM_LOW, UINT64_MAX);
    cr_expect_eq(result.asked, sys_ram_bytes());
    cr_expect_eq(result.freed, sys_ram_bytes());
}

/* --- from inside a call --- */

struct self {
    int id;
    int rc;
    bool inside;
    unsigned calls;
};

static size_t remove_itself(const struct plim_pressure *p, void *arg)
{
    struct self *self = arg;
    (void)p;
    self->calls++;
    self->inside = reclaimers_inside();
    self->rc = reclaimers_remove(self->id);
    return 0;
}

Test(reclaimers, one_may_remove_itself, .timeout = 60)
{
    struct self self = {.rc = 1};
    self.id = reclaimers_add("self", remove_itself, &self, PLIM_LOW);
    cr_expect_not(reclaimers_inside());
    (void)run(PLIM_LOW, MiB);
    (void)run(PLIM_LOW, MiB);
    cr_expect_eq(self.calls, 1u);
    cr_expect_eq(self.rc, 0);
    cr_expect(self.inside);
    cr_expect_not(reclaimers_inside());
}

static struct probe added_inside;

static size_t remove_next_and_add(const struct plim_pressure *p, void *arg)
{
    const int *next = arg;
    (void)p;
    cr_assert_eq(reclaimers_remove(*next), 0);
    cr_assert_geq(reclaimers_add("new", count_call, &added_inside, PLIM_LOW), 0);
    return 0;
}

Test(reclaimers, one_may_remove_and_add_others, .timeout = 60)
{
    struct probe probe = {0};
    int next = -1;
    (void)reclaimers_add("first", remove_next_and_add, &next, PLIM_LOW);
    next = reclaimers_add("next", count_call, &probe, PLIM_LOW);
    (void)run(PLIM_LOW, MiB);
    cr_expect_eq(probe.calls, 0u, "it was removed before its turn");
    cr_expect_leq(added_inside.calls, 1u);
}

/* --- threads --- */

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

Test(reclaimers, remove_waits_for_the_call_to_end, .timeout = 60)
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

Test(reclaimers, remove_does_not_wait_for_another_ones_call, .timeout = 60)
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

Test(reclaimers, no_argument_is_used_after_remove_returned, .timeout = 300)
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

/* --- what each has given --- */

static size_t remove_self(const struct plim_pressure *p, void *arg)
{
    (void)p;
    (void)reclaimers_remove(*(int *)arg);
    return MiB;
}

Test(reclaimers, what_each_was_asked_for_and_gave_is_counted)
{
    struct reclaimer_info info;
    struct probe a = {.gives = MiB}, b = {.gives = 2 * MiB};
    (void)reclaimers_add("a MiB", count_call, &a, PLIM_LOW);
    (void)reclaimers_add("rest", count_call, &b, PLIM_CRITICAL);
    (void)run(PLIM_LOW, MiB);
    (void)run(PLIM_CRITICAL, 3 * MiB);
    cr_assert(reclaimers_info(0, &info));
    cr_expect_str_eq(info.name, "a MiB");
    cr_expect_eq(info.calls, 2);
    cr_expect_eq(info.asked, 4 * MiB);
    cr_expect_eq(info.freed, 2 * MiB);
    cr_assert(reclaimers_info(1, &info));
    cr_expect_str_eq(info.name, "rest");
    cr_expect_eq(info.calls, 1);
    cr_expect_eq(info.asked, 2 * MiB);
    cr_expect_not(reclaimers_info(2, &info));
}

Test(reclaimers, next_in_a_slot_begins_anew)
{
    struct reclaimer_info info;
    struct probe probe = {0};
    int id = reclaimers_add("first", count_call, &probe, PLIM_LOW);
    (void)run(PLIM_LOW, MiB);
    (void)reclaimers_remove(id);
    cr_expect_not(reclaimers_info(0, &info));
    id = reclaimers_add("second", remove_self, &id, PLIM_LOW);
    (void)run(PLIM_LOW, MiB);
    (void)reclaimers_add("third", count_call, &probe, PLIM_LOW);
    cr_assert(reclaimers_info(0, &info));
    cr_expect_str_eq(info.name, "third");
    cr_expect_eq(info.calls, 0);
}

/* --- stop --- */

Test(reclaimers, after_stop_nothing_is_called)
{
    struct probe probe = {0};
    int id = reclaimers_add("x", count_call, &probe, PLIM_LOW);
    reclaimers_stop();
    (void)run(PLIM_CRITICAL, MiB);
    cr_expect_eq(probe.calls, 0u);
    cr_expect_eq(reclaimers_count(PLIM_CRITICAL), 0u);
    cr_expect_eq(reclaimers_remove(id), 0, "removing still works");
}

Test(reclaimers, stop_waits_for_the_call_but_not_for_ever, .timeout = 60)
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

Test(reclaimers, stop_from_inside_does_not_wait_for_itself, .timeout = 60)
{
    struct probe probe = {0};
    (void)reclaimers_add("stop", stop_all, NULL, PLIM_LOW);
    (void)reclaimers_add("x", count_call, &probe, PLIM_LOW);
    (void)run(PLIM_LOW, MiB);
    cr_expect_eq(probe.calls, 0u);
}
