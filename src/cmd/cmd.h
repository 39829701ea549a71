/*
 * What the verbs of the plimsoll command share: how a verb and its flags are declared, how they
 * are read, and how the command speaks of its own errors. Help is printed from the same tables.
 */
#ifndef PLIM_CMD_H
#define PLIM_CMD_H

#include "../base.h"

#include <stdio.h>

/* Exit codes; run adds those of the program it runs. */
enum {
    EXIT_OK = 0,
    EXIT_PROBLEM = 1, /* the command worked, and found something wrong */
    EXIT_USAGE = 2,
    EXIT_RUN_FAILED = 125, /* run: our own failure; the program was not started */
    EXIT_RUN_CANNOT = 126, /* run: found, but cannot be executed */
    EXIT_RUN_NOT_FOUND = 127,
    EXIT_RUN_SIGNAL = 128, /* run: plus the number of the signal that ended the program */
};

struct cmd_flag {
    char letter;       /* 0: has none */
    const char *name;  /* without the dashes */
    const char *value; /* what help calls its value; NULL: it takes none */
    const char *help;
};

struct cmd_verb {
    const char *name;
    const char *synopsis; /* what follows the name */
    const char *summary;
    const char *details;          /* more lines for its help; NULL: none */
    const struct cmd_flag *flags; /* ends with name NULL; --help is added */
    int words_most;               /* arguments that are no flags, at most */
    bool command_follows;         /* the first of them begins another command, with its own flags */
    /* argv[0] is the verb's name; returns the exit code. */
    int (*run)(const struct cmd_verb *self, int argc, char **argv);
};

extern const struct cmd_verb verb_run, verb_doctor, verb_options;
extern const struct cmd_verb verb_status, verb_top, verb_metrics;
extern const struct cmd_verb verb_ctl, verb_report;

/* What cmd_next_flag returns instead of an index into the verb's flags. */
enum { CMD_END = -1, CMD_HELP = -2, CMD_BAD = -3 };

/*
 * The next flag of argv as an index into self->flags, its value (NULL if it has none) in
 * *ret_value. CMD_END: no more flags; other arguments have been moved behind them, are not too
 * many, and *ret_rest (may be NULL) is the index of the first. CMD_HELP: help has been printed,
 * exit with EXIT_OK. CMD_BAD: a complaint has been printed, exit with EXIT_USAGE.
 */
int cmd_next_flag(const struct cmd_verb *self, int argc, char **argv, const char **ret_value,
                  int *ret_rest);
/* EXIT_OK for CMD_HELP, else EXIT_USAGE. */
int cmd_flag_exit(int next);

/* A whole decimal number from least to most; -EINVAL, -ERANGE. */
int cmd_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret);

/* One line on stderr, behind "plimsoll: ". */
void cmd_say(const char *format, ...) PLIM_PRINTF(1, 2);
/* The same about a bad argument: what it is, its value, what was expected. Returns EXIT_USAGE. */
int cmd_bad_value(const struct cmd_verb *self, const char *what, const char *value,
                  const char *expected);
/* Complains of the first argument that should not be there. Returns EXIT_USAGE. */
int cmd_bad_argument(const struct cmd_verb *self, const char *argument);

#endif
