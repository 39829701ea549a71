/* Processes and threads come and go while others allocate near the limit: nothing hangs, nothing is
 * lost. */
#include "harness.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(lives, .init = harness_begin, .fini = harness_end);

enum { TIMEOUT_S = 400, LIMIT_MIB = 256 };

static struct run lives(const char *scenario)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    const char *plugins = getenv("PLUGINS") ? getenv("PLUGINS") : ".";
    struct run run =
        run_in((struct run_spec){.box = box,
                                 .preload = harness_library(),
                                 .argv = ARGV(harness_program("lives"), scenario, plugins)},
               TIMEOUT_S);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "ok") == 1, "%s", run_describe(&run));
    return run;
}

static void expect_none_fails(struct run *run)
{
    cr_expect(run_number(run, "level") >= 1, "%s", run_describe(run));
    cr_expect(run_number(run, "failed") == 0, "%s", run_describe(run));
}

Test(lives, a_thousand_children_allocate_and_exit)
{
    struct run run = lives("forks");
    expect_none_fails(&run);
}

Test(lives, children_of_vfork_allocate_and_leave_the_watcher_alone)
{
    struct run run = lives("vforks");
    expect_none_fails(&run);
    cr_expect(run_number(&run, "watched") == 1, "%s", run_describe(&run));
}

Test(lives, programs_are_spawned)
{
    struct run run = lives("spawns");
    expect_none_fails(&run);
}

Test(lives, a_daemon_without_descriptors_knows_its_limit)
{
    struct run run = lives("daemon");
    cr_expect(run_number(&run, "forked") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "daemon") == 1, "%s", run_describe(&run));
}

Test(lives, a_thread_executes_another_program)
{
    struct run run = lives("execs");
    cr_expect(run_number(&run, "executed") == 1, "%s", run_describe(&run));
}

Test(lives, threads_are_cancelled_after_malloc_and_not_in_it)
{
    struct run run = lives("cancels");
    double expected = run_number(&run, "expected");
    cr_expect(expected > 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "came_back") == expected, "%s", run_describe(&run));
    cr_expect(run_number(&run, "cancelled") == 2 * expected, "%s", run_describe(&run));
}

Test(lives, five_thousand_threads_leave_nothing_behind)
{
    struct run run = lives("storm");
    cr_expect(run_number(&run, "threads") == 5000, "%s", run_describe(&run));
    cr_expect(run_number(&run, "grown_mib") < 8, "%s", run_describe(&run));
}

Test(lives, plug_ins_are_loaded_and_unloaded_by_threads)
{
    if (getenv("PLUGINS") == NULL)
        cr_skip_test("the plug-ins were not built: no C++ compiler");
    struct run run = lives("plugins");
    cr_expect(run_number(&run, "loaded") == 100, "%s", run_describe(&run));
}

/* --- signal handlers that fork --- */

static struct run handlers(const char *scenario, const char *variable)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    struct run run = run_in((struct run_spec){.box = box,
                                              .preload = harness_library(),
                                              .env = ARGV("PLIMSOLL_REPORT=cpus,memory", variable),
                                              .argv = ARGV(harness_program("handlers"), scenario)},
                            TIMEOUT_S);
    expect_survived(box, &run);
    if (run_number(&run, "denied") == 1)
        cr_skip_test("no seccomp filter may be set");
    cr_expect(run_number(&run, "ok") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "failed") == 0, "%s", run_describe(&run));
    return run;
}

/* A fork may be slow on a slow machine; but if most took a second, they would be waiting for
 * something. */
static void expect_none_waits(struct run *run)
{
    double forks = run_number(run, "forks");
    cr_expect(forks >= 20, "%s", run_describe(run));
    cr_expect(run_number(run, "took_second") < forks / 2, "%s", run_describe(run));
    cr_expect(run_number(run, "took_long") == 0, "%s", run_describe(run));
}

Test(lives, a_handler_forks_in_the_middle_of_reading_cpus_and_memory)
{
    struct run run = handlers("asking", "PLIMSOLL_THREAD=off");
    expect_none_waits(&run);
}

Test(lives, a_handler_forks_in_the_middle_of_looks_and_purges)
{
    struct run run = handlers("looking", "PLIMSOLL_THREAD=off");
    expect_none_waits(&run);
}

Test(lives, a_timer_forks_while_others_allocate_at_the_line)
{
    struct run run = handlers("timer", "PLIMSOLL_THREAD=auto");
    expect_none_waits(&run);
}

/* exit() neither waits for its own thread's look nor leaves the stats page behind. */
Test(lives, a_handler_ends_the_program_in_the_middle_of_a_look)
{
    char dir[] = "/tmp/plim_test_XXXXXX", variable[64];
    cr_assert(mkdtemp(dir));
    snprintf(variable, sizeof(variable), "PLIMSOLL_STATS=%s", dir);
    struct run run = handlers("ending", variable);
    cr_expect(run_number(&run, "pages") == 1, "%s", run_describe(&run));
    cr_expect(rmdir(dir) == 0, "its page was left");
}

Test(lives, signals_rain_on_allocating_threads)
{
    struct run run = lives("signals");
    cr_expect(run_number(&run, "sent") > 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "handled") > 0, "%s", run_describe(&run));
}
