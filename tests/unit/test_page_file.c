/* Names of stats pages, whose process lives, and which ones are swept away. */
#include "stats_page_file.h"

#include "sys.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static void setup(void)
{
    snprintf(dir, sizeof(dir), "/tmp/plim-page-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(page_file, .init = setup, .fini = teardown);

static const char *path_of(uint32_t pid, uint64_t start)
{
    static char path[200];
    snprintf(path, sizeof(path), "%s/plimsoll.%u.%llu", dir, pid, (unsigned long long)start);
    return path;
}

static bool is_there(uint32_t pid, uint64_t start)
{
    return access(path_of(pid, start), F_OK) == 0;
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    cr_assert(fd >= 0 && write(fd, bytes, len) == (ssize_t)len, "%s", path);
    close(fd);
}

/* A page as the process would have made it, last written `ago` seconds ago. */
static void make(uint32_t pid, uint64_t start, uint64_t namespace, unsigned level, unsigned ago)
{
    static struct page page;
    memset((void *)&page, 0, sizeof(page));
    page_begin(&page.header);
    page.header.pid = pid;
    page.header.start_time = start;
    page.header.pid_namespace = namespace;
    page.header.created_ns = 5 * NS_PER_S;
    page.header.created_at = sys_wall_ns() - (ago + 10) * NS_PER_S;
    page.snapshot.values[PAGE_UPDATED] = 15 * NS_PER_S;
    page.snapshot.values[PAGE_LEVEL] = level;
    page_seal(&page.header);
    write_file(path_of(pid, start), &page, sizeof(page));
}

/* Sets the file's time to `ago` seconds ago: stores through a mapping need not change that. */
static void set_age(uint32_t pid, uint64_t start, unsigned ago)
{
    time_t at = (time_t)(sys_wall_ns() / NS_PER_S) - ago;
    const struct timespec times[] = {{.tv_sec = at}, {.tv_sec = at}};
    cr_assert_eq(utimensat(AT_FDCWD, path_of(pid, start), times, 0), 0);
}

/* The pid of a process that has ended. */
static uint32_t gone(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    return (uint32_t)pid;
}

Test(page_file, only_the_one_spelling_of_a_name_is_taken)
{
    static const char *const bad[] = {
        "",
        "plimsoll",
        "plimsoll.",
        "plimsoll.1",
        "plimsoll.1.",
        "plimsoll.1.2.3",
        "plimsoll..2",
        "plimsoll.0.2",
        "plimsoll.01.2",
        "plimsoll.1.02",
        "plimsoll.-1.2",
        "plimsoll.+1.2",
        "plimsoll.1.2 ",
        " plimsoll.1.2",
        "Plimsoll.1.2",
        "plimsoll.2147483648.2",
        "plimsoll.4294967297.2",
        "plimsoll.99999999999999999999999.2",
        "plimsoll.1.99999999999999999999999",
        "plimsoll.1.2/../x",
    };
    struct page_name name;
    char text[PAGE_NAME_MAX];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_expect_not(page_name_parse(bad[i], &name), "%s", bad[i]);
    cr_assert(page_name_parse("plimsoll.2147483647.18446744073709551615", &name));
    cr_expect_eq(name.pid, 2147483647);
    cr_expect_eq(name.start_time, UINT64_MAX);
    page_name_print(&name, text);
    cr_expect_str_eq(text, "plimsoll.2147483647.18446744073709551615");
}

Test(page_file, start_time_is_that_of_the_process_whatever_its_name)
{
    uint64_t self, again;
    cr_assert_eq(page_start_time(0, &self), 0);
    FILE *f = fopen("/proc/self/comm", "w");
    cr_assert(f != NULL && fputs("a) Z 1 2", f) >= 0 && fclose(f) == 0);
    cr_assert_eq(page_start_time((uint32_t)getpid(), &again), 0);
    cr_expect_eq(self, again);
    cr_expect_lt(page_start_time(gone(), &again), 0);
}

Test(page_file, lives_are_told_apart_by_start_time_namespace_and_program)
{
    struct page_view view = {.pid = (uint64_t)getpid(), .pid_namespace = page_pid_namespace()};
    cr_assert_eq(page_start_time(0, &view.start_time), 0);
    cr_expect_eq(page_life(&view), PAGE_LIVES);
    view.image = page_image(0);
    cr_expect_neq(view.image, 0);
    cr_expect_eq(view.image, page_image((uint32_t)getpid()));
    cr_expect_eq(page_life(&view), PAGE_LIVES);
    view.image++;
    cr_expect_eq(page_life(&view), PAGE_REPLACED, "another program since an exec");
    view.image = 0;
    view.start_time++;
    cr_expect_eq(page_life(&view), PAGE_DEAD, "the pid was given out anew");
    view.pid_namespace++;
    cr_expect_eq(page_life(&view), PAGE_ELSEWHERE);
    view = (struct page_view){.pid_namespace = page_pid_namespace(), .pid = UINT64_MAX};
    cr_expect_eq(page_life(&view), PAGE_DEAD);
}

Test(page_file, a_process_that_waits_to_be_reaped_is_dead)
{
    uint64_t start;
    siginfo_t info;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    cr_expect_lt(page_start_time((uint32_t)pid, &start), 0);
    waitpid(pid, NULL, 0);
}

static void *wait_for_signal(void *unused)
{
    pause();
    return unused;
}

Test(page_file, a_process_whose_first_thread_has_ended_lives)
{
    uint64_t start;
    char path[40], line[512] = "";
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, wait_for_signal, NULL);
        pthread_exit(NULL);
    }
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    while (strstr(line, ") Z") == NULL)
        cr_assert_gt(sys_read_file(path, line, sizeof(line)), 0);
    cr_expect_eq(page_start_time((uint32_t)pid, &start), 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

Test(page_file, pages_of_the_dead_go_and_those_of_the_living_stay)
{
    uint64_t start, namespace = page_pid_namespace();
    uint32_t dead = gone(), self = (uint32_t)getpid();
    cr_assert_eq(page_start_time(0, &start), 0);
    make(dead, 7, namespace, 0, 1);
    make(dead, 8, namespace + 1, 0, 1);
    make(self, start, namespace, 0, 1);
    page_sweep(dir, PAGE_SWEEP_QUICK);
    cr_expect_not(is_there(dead, 7));
    cr_expect(is_there(dead, 8), "of another pid namespace, and new: nobody knows here");
    cr_expect(is_there(self, start));
}

Test(page_file, a_reused_pid_is_found_by_a_thorough_sweep)
{
    uint64_t start, namespace = page_pid_namespace();
    uint32_t self = (uint32_t)getpid();
    cr_assert_eq(page_start_time(0, &start), 0);
    make(self, start + 1, namespace, 0, 1);
    page_sweep(dir, PAGE_SWEEP_ALL);
    cr_expect_not(is_there(self, start + 1));
}

Test(page_file, what_is_no_sound_page_is_left_alone)
{
    uint32_t dead = gone();
    char target[128];
    snprintf(target, sizeof(target), "%s/precious", dir);
    write_file(target, "text", 4);
    write_file(path_of(dead, 1), "text", 4);
    write_file(path_of(dead, 2), "", 0);
    cr_assert_eq(symlink(target, path_of(dead, 3)), 0);
    cr_assert_eq(mkdir(path_of(dead, 4), 0700), 0);
    cr_assert_eq(mkfifo(path_of(dead, 5), 0600), 0);
    make(dead, 6, page_pid_namespace(), 0, 1);
    char from[200];
    snprintf(from, sizeof(from), "%s", path_of(dead, 6));
    cr_assert_eq(rename(from, path_of(dead, 7)), 0); /* a copy under another name */
    page_sweep(dir, PAGE_SWEEP_ALL);
    for (uint64_t start = 1; start <= 7; start++) {
        struct stat st;
        cr_expect(start == 6 || lstat(path_of(dead, start), &st) == 0, "%d", (int)start);
    }
    cr_expect_eq(access(target, F_OK), 0);
}

/* Pages of processes killed before the file had a size or a magic: only a sweep removes them. */
Test(page_file, pages_that_nobody_finished_go_after_a_minute)
{
    static const struct page nothing;
    uint32_t dead = gone();
    write_file(path_of(dead, 1), "", 0);
    write_file(path_of(dead, 2), &nothing, sizeof(nothing));
    write_file(path_of(dead, 3), "", 0);
    write_file(path_of(dead, 4), &nothing, sizeof(nothing));
    write_file(path_of(dead, 5), "text", 4);
    for (uint64_t start = 1; start <= 5; start++)
        set_age(dead, start, start == 3 || start == 4 ? PAGE_MAKING_S - 30 : PAGE_MAKING_S + 1);
    page_sweep(dir, PAGE_SWEEP_QUICK);
    for (uint64_t start = 1; start <= 5; start++)
        cr_expect_eq(is_there(dead, start), start > 2, "%d", (int)start);
}

Test(page_file, a_quick_sweep_passes_over_the_living)
{
    uint64_t start, namespace = page_pid_namespace();
    uint32_t dead = gone(), self = (uint32_t)getpid();
    cr_assert_eq(page_start_time(0, &start), 0);
    make(dead, 7, namespace, 0, 1);
    for (unsigned i = 0; i < 2 * PAGE_SWEEP_QUICK; i++)
        make(self, start + i, namespace, 0, 1);
    page_sweep(dir, PAGE_SWEEP_QUICK);
    cr_expect_not(is_there(dead, 7));
}

Test(page_file, pages_of_other_users_are_left_alone)
{
    uint32_t dead = gone();
    if (geteuid() != 0)
        cr_skip_test("needs root to make another user's file");
    make(dead, 1, page_pid_namespace(), 0, 1);
    cr_assert_eq(chown(path_of(dead, 1), 12345, 12345), 0);
    page_sweep(dir, PAGE_SWEEP_ALL);
    cr_expect(is_there(dead, 1));
}

Test(page_file, evidence_of_a_death_at_level_critical_is_kept_for_a_day)
{
    uint32_t dead = gone();
    make(dead, 1, page_pid_namespace(), 3, 60);
    make(dead, 2, page_pid_namespace(), 3, 25 * 3600);
    make(dead, 3, page_pid_namespace(), 2, 60);
    page_sweep(dir, PAGE_SWEEP_ALL);
    cr_expect(is_there(dead, 1));
    cr_expect_not(is_there(dead, 2));
    cr_expect_not(is_there(dead, 3));
}

/* The level may be anything: a single request did not fit. */
Test(page_file, evidence_of_refused_requests_is_kept_likewise)
{
    uint32_t dead = gone();
    const uint64_t refused = 1;
    for (unsigned start = 1; start <= 3; start++)
        make(dead, start, page_pid_namespace(), 0, start == 2 ? 25 * 3600 : 60);
    for (unsigned start = 1; start <= 2; start++) {
        int fd = open(path_of(dead, start), O_WRONLY);
        const off_t at = offsetof(struct page, snapshot.values[PAGE_FAILED_REQUESTS]);
        cr_assert_eq(pwrite(fd, &refused, sizeof(refused), at), sizeof(refused));
        close(fd);
    }
    page_sweep(dir, PAGE_SWEEP_ALL);
    cr_expect(is_there(dead, 1));
    cr_expect_not(is_there(dead, 2));
    cr_expect_not(is_there(dead, 3));
}

Test(page_file, of_much_evidence_the_newest_stays)
{
    uint32_t dead = gone();
    for (unsigned i = 0; i < 2 * PAGE_EVIDENCE_MAX; i++)
        make(dead, i + 1, page_pid_namespace(), 3, 10 * ((i * 7) % (2 * PAGE_EVIDENCE_MAX)));
    page_sweep(dir, PAGE_SWEEP_ALL);
    for (unsigned i = 0; i < 2 * PAGE_EVIDENCE_MAX; i++) {
        bool newer = (i * 7) % (2 * PAGE_EVIDENCE_MAX) < PAGE_EVIDENCE_MAX;
        cr_expect_eq(is_there(dead, i + 1), newer, "%u", i);
    }
}

/* Pages of 2 * PAGE_EVIDENCE_MAX containers, in each of which a process had this pid. */
static void make_elsewhere(uint32_t pid, unsigned hours_ago)
{
    for (unsigned i = 0; i < 2 * PAGE_EVIDENCE_MAX; i++) {
        make(pid, i + 1, page_pid_namespace() + 1 + i, i % 4, hours_ago * 3600 + 60 * i);
        set_age(pid, i + 1, 48 * 3600);
    }
}

Test(page_file, of_other_pid_namespaces_the_newest_of_the_quiet_ones_stay)
{
    const unsigned quick_and_all[] = {PAGE_SWEEP_QUICK, PAGE_SWEEP_ALL};
    uint32_t self = (uint32_t)getpid();
    for (size_t n = 0; n < ARRAY_LEN(quick_and_all); n++) {
        make_elsewhere(self, 24);
        page_sweep(dir, quick_and_all[n]);
        for (unsigned i = 0; i < 2 * PAGE_EVIDENCE_MAX; i++) {
            cr_expect_eq(is_there(self, i + 1), i < PAGE_EVIDENCE_MAX, "%u", i);
            (void)unlink(path_of(self, i + 1));
        }
    }
}

Test(page_file, of_other_pid_namespaces_all_that_were_written_within_a_day_stay)
{
    uint32_t dead = gone();
    make_elsewhere(dead, 23);
    page_sweep(dir, PAGE_SWEEP_ALL);
    for (unsigned i = 0; i < 2 * PAGE_EVIDENCE_MAX; i++)
        cr_expect(is_there(dead, i + 1), "%u", i);
}

Test(page_file, a_sweep_looks_at_no_more_names_than_it_may)
{
    uint32_t dead = gone();
    unsigned left = 0;
    for (unsigned i = 0; i < 100; i++)
        make(dead, i + 1, page_pid_namespace(), 0, 1);
    page_sweep(dir, 10);
    for (unsigned i = 0; i < 100; i++)
        left += is_there(dead, i + 1);
    cr_expect_eq(left, 90);
    page_sweep("/nonexistent", 10);
}
