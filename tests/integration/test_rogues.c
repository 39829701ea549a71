/* Reclaimers that do what they should not: the program goes on, or ends as the language has it, and
 * is never stuck. See plimsoll(3), RECLAIMERS THAT GO WRONG. */
#include "harness.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(rogues, .init = harness_begin, .fini = harness_end);

static struct run survives(const char *scenario, const char *variable)
{
    return scenario_survives("rogue", scenario, variable);
}

Test(rogues, one_that_never_returns_holds_up_reclaimers_only)
{
    struct run run = survives("hangs", NULL);
    cr_expect(run_number(&run, "rogue_calls") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "others_meanwhile") == 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "watched") == 1, "%s", run_describe(&run));
}

Test(rogues, one_that_never_returns_is_named_once)
{
    struct run run = survives("hangs_long", NULL);
    const char *line = strstr(run.err, "reclaimer \"rogue\" has not returned for 10 s");
    cr_assert(line != NULL, "%s", run_describe(&run));
    cr_expect(strstr(line + 1, "reclaimer \"") == NULL, "%s", run_describe(&run));
}

struct asked {
    pid_t pid;
    double seconds;
};

/* What plimsoll status says. */
static bool runs_for_seconds(void *arg)
{
    struct asked *asked = arg;
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", asked->pid);
    struct run run = run_in(
        (struct run_spec){.argv = ARGV(harness_command(), "status", pid, "--json")}, SCENARIO_S);
    const char *key = "\"reclaimers_running_seconds\":";
    const char *at = strstr(run.out, key);
    asked->seconds = at == NULL ? -1 : strtod(at + strlen(key), NULL);
    return asked->seconds > 2;
}

Test(rogues, status_tells_for_how_long_one_has_been_running)
{
    struct box *box = scenario_box();
    struct run run =
        run_start((struct run_spec){.box = box,
                                    .preload = harness_library(),
                                    .argv = ARGV(harness_program("rogue"), "hangs_long")});
    struct asked asked = {.pid = run.pid};
    cr_expect(eventually(60, runs_for_seconds, &asked), "%.1f s, %s", asked.seconds,
              run_describe(&run));
    run_stop(&run);
}

Test(rogues, after_one_that_slept_others_are_called_again)
{
    struct run run = survives("sleeps", NULL);
    cr_expect(run_number(&run, "others_meanwhile") == 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "returned") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "others_after") == 1, "%s", run_describe(&run));
}

Test(rogues, one_that_throws_ends_the_program_as_any_thread_would)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "rogue", "throws", NULL);
    cr_expect(run_signalled(&run, SIGABRT), "%s", run_describe(&run));
    cr_expect(strstr(run.err, "thrown by a reclaimer") != NULL, "%s", run_describe(&run));
}

Test(rogues, one_that_aborts_ends_the_program)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, "rogue", "aborts", NULL);
    cr_expect(run_signalled(&run, SIGABRT), "%s", run_describe(&run));
}

Test(rogues, one_that_ends_its_thread_is_called_again_and_others_too)
{
    struct run run = survives("ends_thread", NULL);
    cr_expect(run_number(&run, "again") == 1, "%s", run_describe(&run));
}

Test(rogues, one_that_is_cancelled_is_called_again)
{
    struct run run = survives("cancelled", NULL);
    cr_expect(run_number(&run, "again") == 1, "%s", run_describe(&run));
}

Test(rogues, one_that_exits_ends_the_program_with_its_status)
{
    const char *const scenarios[] = {"exits", "exits_now"};
    for (size_t i = 0; i < 2; i++) {
        struct box *box = scenario_box();
        struct run run = scenario_run(box, "rogue", scenarios[i], NULL);
        cr_expect(run_exited(&run, 3), "%s: %s", scenarios[i], run_describe(&run));
    }
}

Test(rogues, one_that_forks_has_children_that_end)
{
    struct run run = survives("forks", NULL);
    cr_expect(run_number(&run, "rogue_calls") > 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "child_status") == 0, "%s", run_describe(&run));
}

Test(rogues, what_one_allocates_is_looked_at)
{
    struct run run = survives("allocates", NULL);
    cr_expect(run_number(&run, "returned") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "looks") > 3, "%s", run_describe(&run));
}

Test(rogues, one_that_asks_for_too_much_is_refused_where_others_are)
{
    struct run run = survives("large_requests", "PLIMSOLL_ON_LIMIT=fail");
    cr_expect(run_number(&run, "rogue_calls") > 0, "%s", run_describe(&run));
    cr_expect(run_number(&run, "refused") == 1, "%s", run_describe(&run));
}

Test(rogues, one_that_jumps_within_itself_is_fine)
{
    struct run run = survives("jumps", NULL);
    cr_expect(run_number(&run, "rogue_calls") > 0, "%s", run_describe(&run));
}

Test(rogues, one_that_adds_and_removes_others_and_itself_is_obeyed)
{
    struct run run = survives("edits", NULL);
    cr_expect(run_number(&run, "twice") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "others") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "calls") == 2, "%s", run_describe(&run));
}

Test(rogues, one_that_calls_the_library_gets_its_answers)
{
    struct run run = survives("re_enters", NULL);
    cr_expect(run_number(&run, "rogue_calls") > 0, "%s", run_describe(&run));
}

Test(rogues, one_that_wants_a_lock_of_allocating_threads_gets_it)
{
    struct run run = survives("wants_lock", NULL);
    cr_expect(run_number(&run, "returned") == 1, "%s", run_describe(&run));
}

Test(rogues, one_that_raises_signals_reaches_the_program)
{
    struct run run = survives("signals", NULL);
    cr_expect(run_number(&run, "handled") == 1, "%s", run_describe(&run));
}
