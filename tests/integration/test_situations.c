/*
 * Wherever a program is put, the limits found there are the ones that were set, and a program whose
 * live data fits is not killed.
 */
#include "harness.h"

#include "sys.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(situations, .init = harness_begin, .fini = harness_end);

enum { TIMEOUT_S = 300, NOT_ALLOWED = 77, ARGS_MAX = 24, PATH_SIZE = 4096 };

/* 200 MiB are live. A limit of 240 MiB, as in test_survive.c, is too close to that on a machine
 * with other work: beside an emulated one 7 of 130 runs were killed. */
static const uint64_t limit = 264 * MIB;
static const struct box_limits limits = {.memory = 264 * MIB, .cpu_percent = 150};

/* What to find, for a program in `own`. */
struct situation {
    const struct box *own;     /* where the program is started */
    const struct box *bound;   /* the box with the limit that binds */
    const char *const *how;    /* options of the program `enter` */
    const char *path;          /* path to be found; NULL: own's */
    uint64_t high;             /* 0: none */
    bool guessed;              /* nothing tells for sure where the program is */
    const char *library, *dir; /* NULL: those of the build */
};

/* A program of the build, or its copy in situation->dir. */
static const char *program_of(const struct situation *s, const char *name)
{
    static char paths[2][PATH_SIZE];
    static unsigned next;
    const char *path = strcmp(name, "plimsoll") == 0 ? harness_command() : harness_program(name);
    if (!s->dir)
        return path;
    char *copy = paths[next++ % 2];
    snprintf(copy, PATH_SIZE, "%s/%s", s->dir, name);
    return copy;
}

static struct run run_there(const struct situation *s, const char *const *argv)
{
    const char *all[ARGS_MAX] = {harness_program("enter")};
    size_t n = 1;
    for (const char *const *arg = s->how; arg && *arg; arg++)
        all[n++] = *arg;
    all[n++] = "--";
    for (; *argv; argv++)
        all[n++] = *argv;
    cr_assert(n < ARGS_MAX);
    struct run run = run_in(
        (struct run_spec){
            .box = s->own, .preload = s->library ? s->library : harness_library(), .argv = all},
        TIMEOUT_S);
    if (run_exited(&run, NOT_ALLOWED))
        cr_skip_test("not allowed here: %s", run.err);
    return run;
}

static void expect_json(const json_t *found, const char *key, json_t *expected)
{
    char *got = json_dumps(json_object_get(found, key), JSON_ENCODE_ANY);
    char *want = json_dumps(expected, JSON_ENCODE_ANY);
    cr_expect(got && strcmp(got, want) == 0, "%s is %s, expected %s", key, got ? got : "missing",
              want);
    free(got);
    free(want);
    json_decref(expected);
}

static json_t *bytes_or_unlimited(uint64_t bytes)
{
    return bytes ? json_integer((json_int_t)bytes) : json_string("unlimited");
}

static void expect_doctor_is_right(const struct situation *s)
{
    char own[PATH_SIZE];
    json_error_t error;
    struct run run = run_there(s, ARGV(program_of(s, "plimsoll"), "doctor", "--json"));
    json_t *found = json_loads(run.out, 0, &error);
    cr_assert(run.ended && found, "%s", run_describe(&run));
    box_path(s->own, own, sizeof(own));
    unsigned affinity = sys_affinity_cpus();
    expect_json(found, "memory_limit_bytes", bytes_or_unlimited(limit));
    expect_json(found, "memory_high_bytes", bytes_or_unlimited(s->high));
    expect_json(found, "effective_bytes",
                bytes_or_unlimited(s->high && s->high < limit ? s->high : limit));
    expect_json(found, "cpus", json_real(1.5));
    expect_json(found, "effective_cpus", json_integer(affinity < 2 ? affinity : 2));
    expect_json(found, "path", json_string(s->path ? s->path : own));
    expect_json(found, "confidence", json_string(s->guessed ? "fallback" : "exact"));
    json_decref(found);
}

/* The second half of a test: what the library itself finds and does. */
static void expect_survival(const struct situation *s)
{
    struct run run = run_there(s, ARGV(program_of(s, "phases"), "--rounds", "4", "--verify"));
    expect_survived(s->bound, &run);
}

static void expect_all(struct situation s)
{
    s.bound = s.bound ? s.bound : s.own;
    expect_doctor_is_right(&s);
    expect_survival(&s);
}

/* The mount point that shows the memory controller: the box's directory less its name. */
static const char *memory_mount(const struct box *top)
{
    static char path[PATH_SIZE];
    box_path(top, path, sizeof(path));
    *strrchr(path, '/') = '\0';
    return path;
}

/* --- limits --- */

Test(situations, a_limit_at_its_own_cgroup)
{
    expect_all((struct situation){.own = box_new(NULL, limits)});
}

Test(situations, a_limit_at_an_ancestor)
{
    struct box *outer = box_new(NULL, limits);
    struct box *inner = box_new(box_new(outer, (struct box_limits){0}), (struct box_limits){0});
    expect_all((struct situation){.own = inner, .bound = outer});
}

Test(situations, limits_at_both_and_the_nearer_binds)
{
    struct box *outer = box_new(NULL, (struct box_limits){.memory = 300 * MIB, .cpu_percent = 190});
    struct box *inner = box_new(outer, limits);
    expect_all((struct situation){.own = inner});
    cr_expect(box_oom_kills(outer) == 0);
}

Test(situations, limits_at_both_and_the_farther_binds)
{
    struct box *outer = box_new(NULL, limits);
    struct box *inner = box_new(outer, (struct box_limits){.memory = 300 * MIB});
    expect_all((struct situation){.own = inner, .bound = outer});
}

/* Above memory.high the kernel stalls a program for minutes: it must stay below all the time. */
Test(situations, memory_high_below_the_limit)
{
    if (harness_version() != 2)
        cr_skip_test("memory.high is of cgroup v2: tested on the v2 kernel");
    struct box_limits with_high = limits;
    with_high.high = 230 * MIB;
    struct box *box = box_new(NULL, with_high);
    expect_all((struct situation){.own = box, .high = with_high.high});
    cr_expect(box_high_events(box) == 0, "met memory.high %d times", (int)box_high_events(box));
}

/* --- namespaces and mounts --- */

Test(situations, a_cgroup_namespace_of_its_own)
{
    struct box *box = box_new(NULL, limits);
    expect_all((struct situation){.own = box, .how = ARGV("--cgroup-namespace")});
}

Test(situations, a_cgroup_namespace_of_its_own_mounted_anew)
{
    struct box *box = box_new(NULL, limits);
    expect_all((struct situation){
        .own = box, .how = ARGV("--cgroup-namespace", "--remount"), .path = memory_mount(box)});
}

Test(situations, a_read_only_cgroup_file_system)
{
    struct box *box = box_new(NULL, limits);
    expect_all((struct situation){.own = box, .how = ARGV("--read-only")});
}

/* As in a container that does not mount /proc. */
Test(situations, no_proc)
{
    struct box *box = box_new(NULL, limits);
    expect_all((struct situation){.own = box,
                                  .how = ARGV("--cgroup-namespace", "--remount", "--no-proc"),
                                  .path = memory_mount(box),
                                  .guessed = true});
}

static void copy_file(const char *from, const char *dir, const char *name)
{
    char to[PATH_SIZE];
    struct stat st;
    snprintf(to, sizeof(to), "%s/%s", dir, name);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    cr_assert(in >= 0 && out >= 0 && fstat(in, &st) == 0, "cannot copy %s to %s", from, to);
    for (off_t at = 0; at < st.st_size;)
        cr_assert(sendfile(out, in, &at, (size_t)st.st_size) > 0, "cannot copy %s", from);
    close(in);
    close(out);
}

/* The directory of the build may be closed to all but its owner. */
Test(situations, a_user_without_rights)
{
    static const char *const names[] = {"phases", "plimsoll", "libplimsoll.so"};
    char dir[] = "/tmp/plim_test_XXXXXX", path[PATH_SIZE];
    cr_assert(mkdtemp(dir) && chmod(dir, 0755) == 0);
    copy_file(harness_program("phases"), dir, "phases");
    copy_file(harness_command(), dir, "plimsoll");
    copy_file(harness_library(), dir, "libplimsoll.so");
    snprintf(path, sizeof(path), "%s/libplimsoll.so", dir);
    expect_all((struct situation){
        .own = box_new(NULL, limits), .how = ARGV("--nobody"), .library = path, .dir = dir});
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

Test(situations, a_threaded_cgroup)
{
    if (harness_version() != 2)
        cr_skip_test("threaded cgroups are of cgroup v2: tested on the v2 kernel");
    struct box *box = box_new(NULL, limits);
    expect_all((struct situation){.own = box_new_threaded(box), .bound = box});
}

Test(situations, no_swap)
{
    char swaps[4096];
    if (sys_read_file("/proc/swaps", swaps, sizeof(swaps)) > 0 && strchr(swaps, '\n')[1] != '\0')
        cr_skip_test("this machine has swap: tested on the v2 kernel, which has none");
    struct box *box = box_new(NULL, limits);
    expect_survival(&(struct situation){.own = box, .bound = box});
}

/* The kernel promises no more memory than there is (vm.overcommit_memory=2): jemalloc takes and
 * gives back pages in another way then. */
Test(situations, strict_overcommit)
{
    const char *const file = "/proc/sys/vm/overcommit_memory";
    char before[16];
    if (!getenv("HARNESS_OWN_MACHINE"))
        cr_skip_test("changes the whole machine: tested on the v2 kernel");
    struct box *box = box_new(NULL, limits);
    cr_assert(sys_read_file(file, before, sizeof(before)) > 0);
    FILE *f = fopen(file, "we");
    cr_assert(f && fputs("2", f) >= 0 && fclose(f) == 0);
    expect_survival(&(struct situation){.own = box, .bound = box});
    f = fopen(file, "we");
    cr_assert(f && fputs(before, f) >= 0 && fclose(f) == 0);
}
