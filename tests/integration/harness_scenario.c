/* Scenarios of programs made for one test: named by their first argument, told by what they print.
 * See harness.h. */
#include "harness.h"

#include <criterion/criterion.h>

struct box *scenario_box(void)
{
    return box_new(NULL, (struct box_limits){.memory = SCENARIO_MIB * MIB});
}

struct run scenario_run(const struct box *box, const char *program, const char *scenario,
                        const char *variable)
{
    struct run run = run_in((struct run_spec){.box = box,
                                              .preload = harness_library(),
                                              .env = ARGV(variable),
                                              .argv = ARGV(harness_program(program), scenario)},
                            SCENARIO_S);
    if (run_number(&run, "denied") == 1)
        cr_skip_test("this machine does not allow it: %s", run_describe(&run));
    return run;
}

struct run scenario_survives(const char *program, const char *scenario, const char *variable)
{
    struct box *box = scenario_box();
    struct run run = scenario_run(box, program, scenario, variable);
    expect_survived(box, &run);
    cr_expect(run_number(&run, "ok") == 1, "%s", run_describe(&run));
    return run;
}
