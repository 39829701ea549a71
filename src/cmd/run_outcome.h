/* What plimsoll run tells of a program that has ended: on standard error, as standard output is
 * the program's own. */
#ifndef PLIM_CMD_RUN_OUTCOME_H
#define PLIM_CMD_RUN_OUTCOME_H

#include "scope.h"

struct run_outcome {
    const char *command;
    struct scope_limits limits;
    int status; /* as wait() gives it */
    uint64_t ran_ns;
    struct scope_toll toll;
};

/* One line if the kernel killed something, otherwise nothing. */
void run_outcome_say(const struct run_outcome *o);
void run_outcome_json(const struct run_outcome *o);
/* The exit code of plimsoll run itself. */
int run_outcome_exit_code(const struct run_outcome *o);

#endif
