/* Programs without some rights, given up or never had: the limit is kept all the same, and Plimsoll
 * is not in the way. */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(confined, .init = harness_begin, .fini = harness_end);

enum { STACK_MOST = 8192 };

static struct run confined(const char *scenario, const char *variable)
{
    return scenario_survives("confined", scenario, variable);
}

static void expect_limit_known(struct run *run)
{
    cr_expect(run_number(run, "hard_mib") == SCENARIO_MIB, "%s", run_describe(run));
}

Test(confined, the_user_changes_on_all_threads)
{
    struct run run = confined("setuid", NULL);
    cr_expect(run_number(&run, "threads") == 3, "%s", run_describe(&run));
    cr_expect(run_number(&run, "others") == 0, "%s", run_describe(&run));
    expect_limit_known(&run);
}

static void expect_goes_on_refused(const char *scenario)
{
    struct run run = confined(scenario, NULL);
    cr_expect(run_number(&run, "refused") == 1, "%s", run_describe(&run));
    expect_limit_known(&run);
}

Test(confined, no_file_may_be_opened_any_more)
{
    expect_goes_on_refused("no_openat");
}

Test(confined, a_handler_answers_for_files_that_may_not_be_opened)
{
    expect_goes_on_refused("trapped_openat");
}

static void expect_said(const struct run *run)
{
    cr_expect(strstr(run->err, "plimsoll: level ") != NULL, "%s", run_describe(run));
}

Test(confined, the_system_calls_that_are_listed_are_all)
{
    struct run run = confined("strict", "PLIMSOLL_LOG=info");
    expect_said(&run);
    expect_limit_known(&run);
}

Test(confined, so_they_are_for_a_program_that_is_started_then)
{
    struct run run = confined("strict_start", "PLIMSOLL_LOG=info");
    expect_said(&run);
    expect_limit_known(&run);
}

Test(confined, so_they_are_where_pressure_is_told)
{
    struct run run = confined("strict", "PLIMSOLL_NOTIFY=systemd");
    cr_expect(run_number(&run, "told") == 1, "%s", run_describe(&run));
    expect_limit_known(&run);
}

Test(confined, the_address_space_is_limited)
{
    struct run run = confined("address_space", NULL);
    cr_expect(run_number(&run, "got") > 300, "%s", run_describe(&run));
    cr_expect(run_number(&run, "enomem") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "again") == 1, "%s", run_describe(&run));
}

/* Too little for the library, for jemalloc's first pages, for the first thread's cache. */
Test(confined, a_program_that_needs_nothing_starts_in_any_address_space)
{
    const char *library = harness_library();
    for (rlim_t mib = 6; mib <= 24; mib++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            setenv("LD_PRELOAD", library, 1);
            setrlimit(RLIMIT_AS, &(struct rlimit){mib * MIB, mib * MIB});
            execl("/bin/true", "true", NULL);
            _exit(127);
        }
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d MiB: status %x", (int)mib,
                  (unsigned)status);
    }
}

Test(confined, three_descriptors_are_all)
{
    struct run run = confined("descriptors", NULL);
    expect_limit_known(&run);
}

Test(confined, no_watcher_can_be_started)
{
    struct run run = confined("no_threads", NULL);
    cr_expect(run_number(&run, "threads") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "wakeups") == 0, "%s", run_describe(&run));
    expect_limit_known(&run);
}

Test(confined, a_user_namespace_is_made)
{
    struct run run = confined("unshare_user", NULL);
    cr_expect(run_number(&run, "unshared") == 20, "%s", run_describe(&run));
}

static void expect_entered(const char *scenario)
{
    struct run run = confined(scenario, NULL);
    cr_expect(run_number(&run, "raw_einval") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "entered") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "watched") == 1, "%s", run_describe(&run));
}

Test(confined, a_user_namespace_is_entered)
{
    expect_entered("setns_user");
}

Test(confined, a_mount_namespace_is_entered)
{
    expect_entered("setns_mount");
}

static void expect_locked(const char *scenario)
{
    struct run run = confined(scenario, NULL);
    cr_expect(run_number(&run, "locked_mib") >= 32, "%s", run_describe(&run));
    cr_expect(run_number(&run, "resident_mib") >= 32, "%s", run_describe(&run));
    expect_limit_known(&run);
}

Test(confined, all_memory_is_locked_as_it_is_mapped)
{
    expect_locked("locked");
}

Test(confined, all_memory_is_locked_as_it_is_touched)
{
    expect_locked("locked_on_fault");
}

/* Free pages are no room then: a request must be refused before the kernel kills. */
Test(confined, the_kernel_takes_no_page_back)
{
    struct run run = confined("no_giving_back", "PLIMSOLL_ON_LIMIT=fail");
    cr_expect(run_number(&run, "enomem") == 1, "%s", run_describe(&run));
    cr_expect(run_number(&run, "served") > 5, "too early: %s", run_describe(&run));
    cr_expect(run_number(&run, "small") == 1, "%s", run_describe(&run));
}

/* Without a watcher, so that everything happens on the allocating thread. */
Test(confined, an_allocation_takes_less_than_8_kib_of_stack)
{
    struct run run = confined("stacks", "PLIMSOLL_THREAD=off");
    double depth = run_number(&run, "depth");
    cr_expect(depth > 0 && depth < STACK_MOST, "%s", run_describe(&run));
}
