/* The watcher runs wherever it can, and where it cannot run no thread waits for it. */
#include "harness.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(starting, .init = harness_begin, .fini = harness_end);

static void expect_reclaimer_called(const char *program)
{
    struct run run = scenario_survives(program, "reclaim", NULL);
    cr_expect(run_number(&run, "called") == 1, "%s", run_describe(&run));
}

Test(starting, a_reclaimer_has_the_stack_that_is_promised)
{
    expect_reclaimer_called("starting");
}

Test(starting, it_has_an_arena_and_a_cache_once_a_reclaimer_is_called)
{
    struct run run = scenario_survives("starting", "reclaim", "PLIMSOLL_CPUS=2");
    cr_expect(run_number(&run, "arenas") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "cache") == 1, "%s", run_describe(&run));
}

Test(starting, it_has_no_cache_where_threads_have_none)
{
    struct run run = scenario_survives("starting", "reclaim", "MALLOC_CONF=tcache:false");
    cr_expect(run_number(&run, "cache") == 0, "%s", run_describe(&run));
}

Test(starting, so_it_has_where_thread_local_variables_are_nearly_as_large)
{
    expect_reclaimer_called("starting_tls_1008");
}

Test(starting, so_it_has_where_they_are_larger)
{
    expect_reclaimer_called("starting_tls_3072");
}

/* The thread-local storage that the C library reserves for libraries loaded later cannot be
 * measured. */
Test(starting, so_it_has_where_more_is_kept_for_later)
{
    struct run run = scenario_survives("starting", "reclaim",
                                       "GLIBC_TUNABLES=glibc.rtld.optional_static_tls=3000000");
    cr_expect(run_number(&run, "called") == 1, "%s", run_describe(&run));
}

static int times(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

Test(starting, a_watcher_that_cannot_be_started_is_told_of_and_not_waited_for)
{
    struct run run = scenario_survives("starting", "impossible", "PLIMSOLL_ON_LIMIT=fail");
    cr_expect(run_number(&run, "refused") == 10, "%s", run_describe(&run));
    /* How long it was made to sleep: a single wait for reclaimers would take 1 s. */
    cr_expect(run_number(&run, "throttled_s") < 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "calls") == 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "cannot_meet") == 1, "%s", run_describe(&run));
    cr_expect(times(run.err, "the watcher thread could not be started") == 1, "%s", run.err);
    cr_expect(times(run.err, "cannot meet the limit") == 1, "%s", run.err);
}

/* In no box: where real-time budgets are per group, a new group has none. */
static void expect_ordinary_threads(const char *scenario)
{
    struct run run = scenario_run(NULL, "starting", scenario, NULL);
    cr_expect(run_exited(&run, 0), "%s", run_describe(&run));
    cr_expect(run_number(&run, "threads") == 2, "%s", run_describe(&run));
    cr_expect(run_number(&run, "ordinary") == 2, "%s", run_describe(&run));
}

Test(starting, a_thread_of_the_idle_class_on_one_cpu_hands_neither_on)
{
    expect_ordinary_threads("idle_class");
}

Test(starting, a_real_time_thread_on_one_cpu_hands_neither_on)
{
    expect_ordinary_threads("real_time");
}

Test(starting, namespaces_are_entered_while_it_cannot_be_started)
{
    struct run run = scenario_survives("starting", "failing", NULL);
    cr_expect(run_number(&run, "waited") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "entered") == 1, "%s", run_describe(&run));
}

Test(starting, what_was_asked_for_during_a_pass_that_hangs_is_asked_of_the_next)
{
    struct run run = scenario_survives("starting", "hung", NULL);
    cr_expect(run_number(&run, "taken_over") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "before") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "after") == 1, "%s", run_describe(&run));
}

/* The kernel takes 10 ms or so to enlarge the table of descriptors where there are other threads:
 * in the middle of a malloc(), and with the look lock held. */
Test(starting, the_table_of_descriptors_is_large_enough_before_there_are_threads)
{
    const struct box_limits limits[] = {{0}, {.memory = 256 * MIB}};
    for (size_t i = 0; i < 2; i++) {
        struct run run =
            run_in((struct run_spec){.box = box_new(NULL, limits[i]),
                                     .preload = harness_library(),
                                     .argv = ARGV(harness_program("starting"), "descriptors")},
                   60);
        cr_assert(run_exited(&run, 0), "%s", run_describe(&run));
        cr_expect(run_number(&run, "looks") == 1, "%s", run_describe(&run));
        cr_expect(run_number(&run, "before") == run_number(&run, "after"), "%s",
                  run_describe(&run));
    }
}
