/* What the kernel reports to the watcher by itself: heard early, never in a loop, and done without
 * where it cannot be had. */
#include "harness.h"

#include "events.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(events, .init = harness_begin, .fini = harness_end);

enum { TIMEOUT_S = 120, LIMIT_MIB = 100 };

static double now_s(void)
{
    return (double)sys_now_ns() / 1e9;
}

/* --- the module by itself --- */

static struct events events;
static _Atomic uint32_t word;

static void aim_at(const struct box *box, uint64_t generation)
{
    static struct cgroup_dir dir;
    const uint64_t thresholds[EVENTS_THRESHOLDS] = {85 * MIB, 90 * MIB, 95 * MIB};
    dir.version = harness_version();
    box_path(box, dir.path, sizeof(dir.path));
    dir.mount_len = strlen(dir.path);
    events_follow(&events, &dir, dir.mount_len, generation, thresholds);
}

static void follow(const struct box *box, uint64_t generation)
{
    aim_at(box, generation);
    /* The first wait opens the descriptors. */
    events_wait(&events, &word, 0, 30 * NS_PER_MS, true);
    cr_assert(events.source.fd_plus_1 != 0, "nothing to listen on");
}

static struct box *new_followed_box(void)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    follow(box, 1);
    return box;
}

/* Starts a program whose page cache meets the limit again and again. */
static struct run start_filling(const struct box *box)
{
    return run_start(
        (struct run_spec){.box = box,
                          .argv = ARGV(harness_program("pagecache"), "--mib", "200", "--passes",
                                       "100000", "--heap-mib", "1", "--dir", harness_file_dir())});
}

Test(events, usage_that_meets_the_limit_ends_a_sleep)
{
    struct box *box = new_followed_box();
    struct run run = start_filling(box);
    cr_expect(events_wait(&events, &word, 0, 120 * NS_PER_S, true), "usage %d MiB",
              (int)(box_usage(box) / MIB));
    run_stop(&run);
}

static void allow_descriptors(rlim_t count)
{
    struct rlimit limit;
    cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
    cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static bool is_open(void *arg)
{
    (void)arg;
    events_wait(&events, &word, 0, 30 * NS_PER_MS, true);
    return events.source.fd_plus_1 != 0;
}

Test(events, what_there_was_no_descriptor_for_is_opened_later)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    struct pressure_watch fifo = {.path = ""};
    snprintf(fifo.path, sizeof(fifo.path), "%s/fifo.%d", harness_file_dir(), (int)getpid());
    cr_assert(mkfifo(fifo.path, 0600) == 0);
    allow_descriptors(0);
    aim_at(box, 1);
    cr_expect(!is_open(NULL));
    cr_expect(events_listen(&events, &fifo) == 0 && events.outer.file.fd_plus_1 == 0);
    allow_descriptors(RLIM_INFINITY);
    cr_expect(events_listen(&events, &fifo) == 0 && events.outer.file.fd_plus_1 != 0);
    cr_expect(eventually(TIMEOUT_S, is_open, NULL));
    unlink(fifo.path);
    cr_expect(events_listen(&events, &fifo) == 0, "it listens already");
}

static void *change_word(void *arg)
{
    while (!atomic_load(&events.polls))
        sleep_ms(1);
    atomic_store(&word, 1);
    events_wake(&events, &word);
    return arg;
}

Test(events, who_wants_a_look_ends_a_sleep)
{
    pthread_t thread;
    new_followed_box();
    cr_assert(pthread_create(&thread, NULL, change_word, NULL) == 0);
    cr_expect(!events_wait(&events, &word, 0, 3600 * NS_PER_S, true));
    cr_expect(atomic_load(&word) == 1);
    pthread_join(thread, NULL);
    /* What was written to end that sleep does not end the next one. */
    double start = now_s();
    cr_expect(!events_wait(&events, &word, 1, 200 * NS_PER_MS, true));
    cr_expect(now_s() - start >= 0.199);
}

static void *write_to_source(void *arg)
{
    const uint64_t one = 1;
    int fd = events.source.fd_plus_1 - 1;
    while (!*(_Atomic bool *)arg)
        (void)!write(fd, &one, sizeof(one));
    return NULL;
}

/* On v1 the test writes to the eventfd itself; on v2 page cache brings the events. */
Test(events, those_that_lead_to_nothing_are_heard_more_and_more_rarely)
{
    struct box *box = new_followed_box();
    static _Atomic bool stop;
    pthread_t thread;
    struct run run = {0};
    if (harness_version() == 1)
        cr_assert(pthread_create(&thread, NULL, write_to_source, (void *)&stop) == 0);
    else
        run = start_filling(box);
    double start = 0;
    for (int heard = 0; heard < 7 && (start == 0 || now_s() - start < TIMEOUT_S);) {
        if (!events_wait(&events, &word, 0, NS_PER_S, false))
            continue;
        start = start == 0 ? now_s() : start;
        heard++;
    }
    /* Nothing was heard for 40, 80, 160, 320, 640, 1000 ms after the first six. */
    cr_expect(now_s() - start > 2.1, "seven in %.3f s", now_s() - start);
    atomic_store(&stop, true);
    if (harness_version() == 1)
        pthread_join(thread, NULL);
    else
        run_stop(&run);
}

/* A removed cgroup's file reports an event for ever. */
Test(events, a_removed_cgroup_does_not_make_it_spin)
{
    struct box *box = new_followed_box();
    cr_assert(box_remove(box) == 0);
    int waits = 0;
    for (double start = now_s(); now_s() - start < 2; waits++)
        events_wait(&events, &word, 0, NS_PER_S, true);
    /* Twice by the timer, once for the removal and once for what was tried again. */
    cr_expect(waits <= 6, "%d sleeps in 2 s", waits);
    if (harness_version() == 2)
        cr_expect(events.source.fd_plus_1 == 0);
}

Test(events, another_cgroup_takes_the_place_of_a_removed_one)
{
    struct box *box = new_followed_box();
    cr_assert(box_remove(box) == 0);
    box = box_new(NULL, (struct box_limits){.memory = LIMIT_MIB * MIB});
    events_wait(&events, &word, 0, 30 * NS_PER_MS, true);
    sleep_ms(1100); /* opening is not tried again sooner */
    follow(box, 2);
    struct run run = start_filling(box);
    cr_expect(events_wait(&events, &word, 0, 120 * NS_PER_S, true), "usage %d MiB",
              (int)(box_usage(box) / MIB));
    run_stop(&run);
}

Test(events, a_number_given_to_a_pipe_is_neither_read_nor_closed)
{
    int ends[2];
    new_followed_box();
    cr_assert(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    const int fds[] = {events.source.fd_plus_1 - 1, events.wake.fd_plus_1 - 1};
    for (int i = 0; i < 2; i++)
        cr_assert(dup2(ends[i], fds[i]) == fds[i]);
    int waits = 0;
    for (double start = now_s(); now_s() - start < 2; waits++) {
        events_wait(&events, &word, 0, NS_PER_S, true);
        events_wake(&events, &word);
    }
    cr_expect(waits <= 4, "%d sleeps in 2 s", waits);
    char text[16];
    cr_expect(read(fds[0], text, sizeof(text)) == 1, "the pipe was read, written to or closed");
    cr_expect(fcntl(fds[1], F_GETFD) >= 0, "closed");
}

Test(events, a_closed_number_does_not_make_it_spin)
{
    new_followed_box();
    close(events.source.fd_plus_1 - 1);
    int waits = 0;
    for (double start = now_s(); now_s() - start < 2; waits++)
        events_wait(&events, &word, 0, NS_PER_S, true);
    cr_expect(waits <= 4, "%d sleeps in 2 s", waits);
}

/* Listens to what a service manager named: a FIFO that nobody writes to. */
static void listen_to_fifo(char path[static 64])
{
    struct pressure_watch watch = {0};
    snprintf(path, 64, "/tmp/plimsoll-test-events.%d", (int)getpid());
    cr_assert(mkfifo(path, 0600) == 0);
    snprintf(watch.path, sizeof(watch.path), "%s", path);
    cr_assert(events_listen(&events, &watch) == 0);
}

static void *take_numbers(void *arg)
{
    const int *taken_by = arg;
    const int fds[] = {events.outer.file.fd_plus_1 - 1, events.wake.fd_plus_1 - 1};
    while (!atomic_load(&events.polls))
        sleep_ms(1);
    for (int i = 0; i < 2; i++)
        (void)(*taken_by < 0 ? close(fds[i]) : dup2(*taken_by, fds[i]));
    return arg;
}

/* The sleep has no timer, and with the descriptors taken away nothing else could end it. */
static void expect_sleep_ends(int taken_by)
{
    char path[64];
    pthread_t thread;
    new_followed_box();
    listen_to_fifo(path);
    cr_assert(pthread_create(&thread, NULL, take_numbers, &taken_by) == 0);
    cr_expect(!events_wait(&events, &word, 0, UINT64_MAX, true));
    pthread_join(thread, NULL);
    unlink(path);
}

Test(events, numbers_closed_during_a_sleep_without_a_timer_end_it, .timeout = TIMEOUT_S)
{
    expect_sleep_ends(-1);
}

Test(events, numbers_given_to_a_pipe_during_a_sleep_without_a_timer_end_it, .timeout = TIMEOUT_S)
{
    int ends[2];
    cr_assert(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    expect_sleep_ends(ends[0]);
}

/* --- a whole program --- */

static struct run start_watched(const struct box *box, const char *scenario)
{
    return run_start((struct run_spec){.box = box,
                                       .preload = harness_library(),
                                       .argv = ARGV(harness_program("watched"), scenario)});
}

static bool is_told(void *arg)
{
    return run_number(arg, "wakeups") >= 0;
}

static bool is_called(void *arg)
{
    return run_number(arg, "calls") >= 1;
}

static void expect_listening(struct run *run)
{
    cr_assert(eventually(TIMEOUT_S, is_told, run), "%s", run_describe(run));
    cr_assert(run_number(run, "listens") == 2, "%s", run_describe(run));
}

/* At the line the watcher looks 50 times a second by its timer. */
static void expect_no_spinning(struct run *run)
{
    double from = run_number(run, "wakeups"), start = now_s();
    sleep_ms(2000);
    double woken = run_number(run, "wakeups") - from, passed = now_s() - start;
    cr_expect(woken <= 60 * passed + 20, "%.0f wake-ups in %.1f s", woken, passed);
}

/* Lowers the limit so that the heap of 60 MiB is past the soft limit. */
static void expect_a_lowered_limit_is_honoured(struct run *run, const struct box *box)
{
    cr_assert(box_set_memory(box, 68 * MIB) == 0, "usage %d MiB", (int)(box_usage(box) / MIB));
    cr_expect(eventually(20, is_called, run), "%s", run_describe(run));
    run_stop(run);
    cr_expect(box_oom_kills(box) == 0);
}

static struct box *new_wide_box(void)
{
    return box_new(NULL, (struct box_limits){.memory = 400 * MIB});
}

Test(events, a_program_closes_all_descriptors)
{
    struct box *box = new_wide_box();
    struct run run = start_watched(box, "close");
    expect_listening(&run);
    expect_no_spinning(&run);
    expect_a_lowered_limit_is_honoured(&run, box);
}

Test(events, a_program_gives_the_numbers_to_eventfds_of_its_own)
{
    struct box *box = new_wide_box();
    struct run run = start_watched(box, "reuse");
    expect_listening(&run);
    expect_no_spinning(&run);
    cr_expect(run_number(&run, "spoilt") == 0, "%s", run_describe(&run));
    expect_a_lowered_limit_is_honoured(&run, box);
}

Test(events, a_forked_child_holds_no_descriptor_of_its_parents_watcher)
{
    struct box *box = new_wide_box();
    struct run run = start_watched(box, "fork");
    expect_listening(&run);
    cr_expect(run_number(&run, "child_holds") == 0, "%s", run_describe(&run));
    run_stop(&run);
}

Test(events, the_cgroup_is_removed_after_its_program_moved_to_another)
{
    struct box *box = new_wide_box(), *other = new_wide_box();
    struct run run = start_watched(box, "nothing");
    expect_listening(&run);
    run_move(&run, other);
    cr_assert(box_remove(box) == 0, "%s", strerror(errno));
    expect_no_spinning(&run);
    run_stop(&run);
}
