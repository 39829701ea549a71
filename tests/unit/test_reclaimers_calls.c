/* Which reclaimers a pass calls, for how much each is asked, and what a call may do itself. */
#include "reclaimers_case.h"
#include "sys.h"

#include <criterion/criterion.h>

/* A pass that goes on because what the last one reported was not so. */
static void go_on(uint64_t target)
{
    struct plim_pressure p = {
        .size = sizeof(p), .level = PLIM_CRITICAL, .usage = GiB, .target = target};
    struct reclaimers_result result;
    reclaimers_run(&p, true, nothing_seen, &result);
}

Test(reclaimers_calls, who_says_more_than_it_freed_does_not_keep_the_others_from_their_turn)
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

Test(reclaimers_calls, only_those_from_the_level_down_are_called)
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

Test(reclaimers_calls, each_is_asked_for_what_is_still_missing)
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
Test(reclaimers_calls, who_gives_little_a_call_is_called_again)
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
Test(reclaimers_calls, but_not_for_long)
{
    struct probe probe = {0};
    (void)reclaimers_add("slow", give_a_byte_slowly, &probe, PLIM_LOW);
    (void)run(PLIM_LOW, MiB);
    cr_expect(probe.calls >= 1 && probe.calls <= 5, "%u calls", probe.calls);
}

static uint64_t freed_so_far;

static uint64_t count_freed(void)
{
    return freed_so_far;
}

static size_t free_the_target_and_say_one(const struct plim_pressure *p, void *arg)
{
    struct probe *probe = arg;
    probe->calls++;
    freed_so_far += p->target;
    return 1;
}

/* It may count entries, or mean it as a truth value: a cache must not be emptied for that. */
Test(reclaimers_calls, who_says_less_than_it_frees_is_not_called_again)
{
    struct probe probe = {0};
    struct reclaimers_result result;
    struct plim_pressure p = {
        .size = sizeof(p), .level = PLIM_LOW, .usage = GiB, .target = 10 * MiB};
    (void)reclaimers_add("modest", free_the_target_and_say_one, &probe, PLIM_LOW);
    reclaimers_run(&p, false, count_freed, &result);
    cr_expect_eq(probe.calls, 1u);
    cr_expect_eq(freed_so_far, 10 * MiB);
}

/* plim_reclaim(UINT64_MAX) asks for more, and a callback that returns -1 gives more. */
Test(reclaimers_calls, no_more_is_asked_for_or_given_than_is_in_use)
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

Test(reclaimers_calls, nor_than_the_machine_has_where_nobody_knows_what_is_in_use)
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

Test(reclaimers_calls, one_may_remove_itself, .timeout = 60)
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

Test(reclaimers_calls, one_may_remove_and_add_others, .timeout = 60)
{
    struct probe probe = {0};
    int next = -1;
    (void)reclaimers_add("first", remove_next_and_add, &next, PLIM_LOW);
    next = reclaimers_add("next", count_call, &probe, PLIM_LOW);
    (void)run(PLIM_LOW, MiB);
    cr_expect_eq(probe.calls, 0u, "it was removed before its turn");
    cr_expect_leq(added_inside.calls, 1u);
}
