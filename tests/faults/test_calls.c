/*
 * The library's lower half on a kernel that fails by a schedule (faults.h): it reports what it
 * could not find out, and what it does report is right.
 */
#include "faults.h"

#include "../unit/case_file.h"
#include "cgroup.h"
#include "events.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct faults schedule;

static void strike(enum fault_class class, uint32_t permille, uint64_t seed)
{
    memset(&schedule, 0, sizeof(schedule));
    schedule.seed = seed;
    schedule.permille[class] = permille;
    faults_use(&schedule);
}

static uint64_t injected(enum fault_class class)
{
    return atomic_load(&schedule.injected[class]);
}

static bool passes(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM;
}

/* --- limits --- */

struct answer {
    struct cgroup cgroup;
    struct cgroup_memory memory;
    uint64_t millicpus;
    int found, memory_rc, cpu_rc;
};

static void ask(const char *root, int pid, struct answer *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->found = cgroup_resolve(root, pid, &ret->cgroup);
    ret->memory_rc = cgroup_read_memory(root, &ret->cgroup.memory, &ret->memory);
    ret->cpu_rc = cgroup_read_cpu(root, &ret->cgroup.cpu, &ret->millicpus);
}

static void check_answer(const char *name, const struct answer *plain, const struct answer *struck)
{
    if (passes(struck->found))
        return;
    cr_assert_eq(struck->found, plain->found, "%s: %d", name, struck->found);
    cr_assert_str_eq(struck->cgroup.memory.path, plain->cgroup.memory.path, "%s", name);
    cr_assert_str_eq(struck->cgroup.cpu.path, plain->cgroup.cpu.path, "%s", name);
    cr_assert_eq(struck->cgroup.memory.confidence, plain->cgroup.memory.confidence, "%s", name);
    if (!passes(struck->memory_rc)) {
        cr_assert_eq(struck->memory_rc, plain->memory_rc, "%s", name);
        cr_assert_eq(struck->memory.hard, plain->memory.hard, "%s", name);
        cr_assert_eq(struck->memory.high, plain->memory.high, "%s", name);
        cr_assert_eq(struck->memory.level_count, plain->memory.level_count, "%s", name);
    }
    if (!passes(struck->cpu_rc))
        cr_assert_eq(struck->millicpus, plain->millicpus, "%s", name);
}

static const char *const cases[] = {
    "hy-03-memory-on-v2-cpu-on-v1.case",  "own-dotdot-root-v1.case",
    "own-forty-limited-levels.case",      "own-v1-parent-is-tighter.case",
    "v2-07-process-in-root-cgroup.case",  "own-v1-hidden-parent-below-own-limit.case",
    "own-child-listed-before-parent.case"};

static unsigned ask_often(enum fault_class class, uint32_t permille)
{
    static struct answer plain, struck;
    static struct case_file c;
    unsigned found = 0;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char root[CASE_PATH_MAX];
        faults_use(NULL);
        case_load(&c, cases[i]);
        int pid = (int)case_bytes(&c, false, "pid", 0);
        case_unpack(&c, root, sizeof(root));
        ask(root, pid, &plain);
        for (uint64_t seed = 1; seed <= 100; seed++) {
            strike(class, permille, seed);
            ask(root, pid, &struck);
            check_answer(cases[i], &plain, &struck);
            found += !passes(struck.found) && !passes(struck.memory_rc);
        }
        faults_use(NULL);
        tree_remove(root);
        case_free(&c);
    }
    return found;
}

Test(faults, a_limit_is_found_as_it_is_or_not_at_all_where_descriptors_run_out)
{
    unsigned found = ask_often(FAULT_fds, 20);
    cr_assert_gt(found, 0);
    cr_assert_lt(found, 100 * ARRAY_LEN(cases), "no fault struck");
}

Test(faults, a_limit_is_the_same_where_files_come_in_pieces)
{
    cr_assert_eq(ask_often(FAULT_pieces, 700), 100 * ARRAY_LEN(cases));
}

Test(faults, a_limit_is_the_same_where_signals_interrupt)
{
    cr_assert_eq(ask_often(FAULT_eintr, 500), 100 * ARRAY_LEN(cases));
}

/* --- files --- */

static char path[] = "/var/tmp/plim_calls_XXXXXX";

static int new_file(void)
{
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    unlink(path);
    return fd;
}

Test(faults, what_is_appended_in_pieces_arrives_whole)
{
    char text[5000], back[sizeof(text)];
    int fd = new_file();
    uint64_t pieces = 0;
    struct sys_file file = {0};
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
    cr_assert_eq(sys_file_adopt(&file, fd), 0);
    for (unsigned i = 0; i < 20; i++) {
        strike(FAULT_pieces, 900, i);
        cr_assert_eq(sys_file_append(&file, text, sizeof(text)), 0);
        pieces += injected(FAULT_pieces);
        faults_use(NULL);
        cr_assert_eq(pread(fd, back, sizeof(back), (off_t)(i * sizeof(text))),
                     (ssize_t)sizeof(back));
        cr_assert_eq(memcmp(text, back, sizeof(text)), 0);
    }
    cr_assert_gt(pieces, 20);
}

Test(faults, a_full_disk_is_told)
{
    struct sys_file file = {0};
    cr_assert_eq(sys_file_adopt(&file, new_file()), 0);
    strike(FAULT_io, 1000, 1);
    int rc = sys_file_append(&file, "text", 4);
    cr_assert(rc == -ENOSPC || rc == -EIO || rc == -EDQUOT, "%d", rc);
}

/* --- memory --- */

Test(faults, a_madvise_that_would_work_again_is_tried_again)
{
    const size_t len = 1 << 16;
    char *p = sys_map(NULL, len, 4096);
    unsigned given = 0;
    cr_assert_not_null(p);
    strike(FAULT_madvise, 700, 1);
    for (unsigned i = 0; i < 200; i++) {
        memset(p, 1, len);
        if (sys_madvise(p, len, MADV_DONTNEED) == 0) {
            given++;
            cr_assert_eq(p[0], 0);
        }
    }
    cr_assert_gt(given, 85); /* about 112, but 60 if each were tried only once */
    strike(FAULT_madvise, 1000, 1);
    cr_assert_lt(sys_madvise(p, len, MADV_DONTNEED), 0); /* and not for ever */
}

Test(faults, no_address_space_is_null)
{
    strike(FAULT_nomem, 1000, 1);
    cr_assert_null(sys_map(NULL, 1 << 20, 4096));
    cr_assert_null(sys_map(NULL, 1 << 20, 1 << 21));
}

/* --- waiting --- */

/* Otherwise the watcher would spin. */
Test(faults, a_wait_lasts_where_nothing_can_be_polled)
{
    static struct events e;
    static struct cgroup_dir dir = {.version = 2, .confidence = CGROUP_EXACT};
    const uint64_t none[EVENTS_THRESHOLDS] = {0}, wait_ns = 300 * NS_PER_MS;
    _Atomic uint32_t word = 0;
    snprintf(dir.path, sizeof(dir.path), "/var/tmp/plim_calls_XXXXXX");
    cr_assert_not_null(mkdtemp(dir.path));
    tree_write(dir.path, "/memory.events", "max 0\n", 6);
    events_follow(&e, &dir, strlen(dir.path), 1, none);
    strike(FAULT_poll, 1000, 1);
    uint64_t start = sys_now_ns();
    cr_assert_not(events_wait(&e, &word, 0, wait_ns, false));
    cr_expect_geq(sys_now_ns() - start, wait_ns);
    cr_expect_gt(injected(FAULT_poll), 0);
    tree_remove(dir.path);
}

Test(faults, a_wait_lasts_where_signals_interrupt_it)
{
    const uint64_t wait_ns = 100 * NS_PER_MS;
    _Atomic uint32_t word = 0;
    strike(FAULT_eintr, 800, 1);
    uint64_t start = sys_now_ns();
    cr_assert_eq(sys_futex_wait(&word, 0, wait_ns), -ETIMEDOUT);
    sys_sleep_ns(wait_ns);
    cr_expect_geq(sys_now_ns() - start, 2 * wait_ns);
    cr_expect_gt(injected(FAULT_eintr), 0);
}
