/* What a process reads of its own limits, while they change under it. */
#include "harness_internal.h"

#include "usage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(usage, .init = harness_begin, .fini = harness_end);

enum { NOT_ALLOWED = 99 };

static struct usage usage;

static uint64_t hard_now(void)
{
    struct usage_sample sample;
    usage_read(&usage, 0, 0, true, &sample);
    return sample.limits.hard;
}

/* Runs `what` in a child in the box. It returns 0, or the number of the check that failed. */
static void expect_in(const struct box *box, int (*what)(void *arg), void *arg)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct options options;
        options_parse(NULL, &options, NULL, NULL);
        if (box_adopt(box, getpid()) != 0)
            _exit(100);
        usage_init(&usage, &options.wish);
        _exit(what(arg));
    }
    cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_ALLOWED)
        cr_skip_test("the machine does not allow it");
    cr_expect(WEXITSTATUS(status) == 0, "number %d does not hold", WEXITSTATUS(status));
}

static int lower_and_raise(void *arg)
{
    struct box *box = arg;
    if (hard_now() != 400 * MIB)
        return 1;
    if (box_set_memory(box, 200 * MIB) != 0 || hard_now() != 200 * MIB)
        return 2;
    if (box_set_memory(box, 300 * MIB) != 0 || hard_now() != 300 * MIB)
        return 3;
    return 0;
}

Test(usage, a_changed_limit_is_seen_by_the_next_reading)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 400 * MIB});
    expect_in(box, lower_and_raise, box);
}

Test(usage, so_is_that_of_an_ancestor)
{
    struct box *outer = box_new(NULL, (struct box_limits){.memory = 400 * MIB});
    expect_in(box_new(outer, (struct box_limits){.memory = 900 * MIB}), lower_and_raise, outer);
}

/* One that removes its limit, and gets it back. */
static int remove_and_set(void *arg)
{
    struct box *box = arg;
    if (box_set_memory(box, NO_LIMIT) != 0 || hard_now() == 400 * MIB)
        return 1;
    if (box_set_memory(box, 300 * MIB) != 0)
        return 2;
    usage_refresh(&usage);
    return hard_now() == 300 * MIB ? 0 : 3;
}

Test(usage, a_limit_that_comes_is_seen_when_limits_are_read_anew)
{
    struct box *box = box_new(NULL, (struct box_limits){.memory = 400 * MIB});
    expect_in(box, remove_and_set, box);
}

/* A move that a cgroup namespace hides: both places are "/" in there, as in many containers. */
static int move_and_hide(void *arg)
{
    if (unshare(CLONE_NEWCGROUP) != 0)
        return errno == EPERM || errno == EINVAL ? NOT_ALLOWED : 1;
    usage_refresh(&usage);
    if (hard_now() != 400 * MIB)
        return 2;
    if (box_adopt(arg, getpid()) != 0 || unshare(CLONE_NEWCGROUP) != 0)
        return 3;
    usage_refresh(&usage);
    return hard_now() == 300 * MIB ? 0 : 4;
}

static int move(void *arg)
{
    if (box_adopt(arg, getpid()) != 0)
        return 1;
    usage_refresh(&usage);
    return hard_now() == 300 * MIB ? 0 : 2;
}

Test(usage, a_move_is_seen_when_limits_are_read_anew)
{
    struct box *from = box_new(NULL, (struct box_limits){.memory = 400 * MIB});
    expect_in(from, move, box_new(NULL, (struct box_limits){.memory = 300 * MIB}));
}

Test(usage, so_is_one_that_a_namespace_hides)
{
    struct box *from = box_new(NULL, (struct box_limits){.memory = 400 * MIB});
    expect_in(from, move_and_hide, box_new(NULL, (struct box_limits){.memory = 300 * MIB}));
}
