/*
 * Real cgroups for tests: make one, run programs in it, watch it, and leave nothing behind.
 *
 * A `box` is a fresh cgroup (memory, and cpu where there is such a controller), made by libcgroup
 * on v1 and v2 alike. A `run` is one program started in a box. What cannot fail in a test (making
 * a file, forking) ends the test through Criterion instead of returning an error.
 *
 * However the test ends, even by SIGKILL, a guardian process then kills what still runs in the
 * boxes of this process and removes them. The guardian knows them by name: plim_test_PID_N.
 *
 * Use: TestSuite(name, .init = harness_begin, .fini = harness_end);
 */
#ifndef PLIM_TEST_HARNESS_H
#define PLIM_TEST_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MIB      ((uint64_t)1 << 20)
#define NO_LIMIT UINT64_MAX

/* Starts the guardian; skips the test, with the reason, where cgroups cannot be made. */
void harness_begin(void);
/* Kills what is left, removes the boxes and waits until they are gone. */
void harness_end(void);

/* The library under test, from PLIMSOLL_LIBRARY. Skips the test where it is not set. */
const char *harness_library(void);
/* The command, from PLIMSOLL_COMMAND. Skips the test where it is not set. */
const char *harness_command(void);
/* A workload program beside the test program. Valid until the third call after this one. */
const char *harness_program(const char *name);
/* A directory on a real file system: in memory-backed ones nothing can be dropped. */
const char *harness_file_dir(void);
/* 1 or 2: the cgroup version that the memory controller is on. */
int harness_version(void);

/* --- boxes --- */

struct box_limits {
    uint64_t memory;      /* hard limit in bytes; 0: none */
    uint64_t high;        /* memory.high in bytes; 0: none. v2 only: ignored on v1 */
    unsigned cpu_percent; /* quota, in percent of one CPU; 0: none */
};

struct box;

/* parent: NULL for one at the top. Boxes live until harness_end(). */
struct box *box_new(const struct box *parent, struct box_limits limits);
/* A box for threads of the parent's processes (cgroup.type); v2 only. Memory is charged to the
 * parent. */
struct box *box_new_threaded(const struct box *parent);
/* Change limits while programs run. Return 0 or -errno: -EBUSY on v1 for a limit below the
 * usage. */
int box_set_memory(const struct box *box, uint64_t bytes);
int box_set_high(const struct box *box, uint64_t bytes);
void box_set_cpu(const struct box *box, unsigned percent);

/* Removes the box now; nothing may run in it. Returns 0 or -errno. */
int box_remove(const struct box *box);
/* The path of its directory. */
void box_path(const struct box *box, char *buf, size_t len);

uint64_t box_usage(const struct box *box); /* bytes charged now, page cache included */
uint64_t box_peak(const struct box *box);  /* the most ever charged, page cache included */
/* Page cache in the usage that the kernel would drop by itself. */
uint64_t box_page_cache(const struct box *box);
/* Processes that the kernel killed in this box and in those below it. */
uint64_t box_oom_kills(const struct box *box);

/* How often the usage met memory.high, here and in those below. 0 on v1. */
uint64_t box_high_events(const struct box *box);

/* --- runs --- */

struct run {
    pid_t pid;
    bool ended;
    bool timed_out; /* run_wait() gave up, and killed it */
    int status;     /* as waitpid(2) gives it, once ended */
    int out_fd, err_fd;
    char *out, *err; /* all it wrote, NUL-terminated, after run_wait() */
};

/* How the program is started. Variables that begin with PLIMSOLL or MALLOC, and LD_PRELOAD, are not
 * inherited: a run has only those given here. */
struct run_spec {
    const struct box *box;
    const char *preload;     /* NULL: the C library's own malloc */
    const char *const *env;  /* NULL-terminated "NAME=value", or NULL */
    const char *const *argv; /* NULL-terminated; argv[0] by path */
};

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Starts a program, which is in the box from its first instruction on. */
struct run run_start(struct run_spec spec);
/* Moves a running program to another box. */
void run_move(const struct run *run, const struct box *box);
/* Waits until the program ends; kills it when `seconds` are over. That time is stretched by
 * HARNESS_PATIENCE, a factor from the environment, for machines known to be slow. */
void run_wait(struct run *run, double seconds);
/* run_start() and run_wait(). */
struct run run_in(struct run_spec spec, double seconds);
/* Ends it with SIGTERM and waits. */
void run_stop(struct run *run);
/* Whether it has written text to stdout so far. */
bool run_has_printed(struct run *run, const char *text);

/* Exited by itself, with this status. */
bool run_exited(const struct run *run, int status);
/* Ended by this signal. */
bool run_signalled(const struct run *run, int sig);
/* The number after the last "key=" in the program's stdout; -1 if there is none. Works while it
 * runs as well, on what has been written so far. */
double run_number(struct run *run, const char *key);
/* Fails the test unless it exited with 0 and nothing in the box was killed by the kernel. */
void expect_survived(const struct box *box, const struct run *run);
/* Fails the test unless the kernel killed it for the box's limit. */
void expect_oom_killed(const struct box *box, const struct run *run);

/* One line on how it went, for messages of failed assertions. Static buffer. */
const char *run_describe(const struct run *run);

/* Asks again and again until the answer is true, and returns true; false when the time (stretched)
 * is up. */
bool eventually(double seconds, bool (*is_true)(void *arg), void *arg);
void sleep_ms(unsigned ms);

/* --- scenarios: programs that are told by argv[1] what to do, and print what came of it --- */

enum { SCENARIO_MIB = 256, SCENARIO_S = 300 };

/* A box of SCENARIO_MIB. */
struct box *scenario_box(void);
/* Runs a scenario under the library, for SCENARIO_S at most, with one more variable ("NAME=value",
 * or NULL). box: NULL for none. Skips the test where the program prints denied=1. */
struct run scenario_run(const struct box *box, const char *program, const char *scenario,
                        const char *variable);
/* The same in a box of its own. Fails the test unless it survives and prints ok=1. */
struct run scenario_survives(const char *program, const char *scenario, const char *variable);

#endif
