/* fork() and reclaimers: inside one, beside one, and the child calls them as well. */
#include "fork_case.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <plimsoll.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

struct in_call {
    _Atomic unsigned calls;
    _Atomic int child_status; /* -1: none yet */
};

static size_t fork_inside(const struct plim_pressure *p, void *arg)
{
    struct in_call *call = arg;
    int status;
    (void)p;
    if (atomic_fetch_add(&call->calls, 1) > 0)
        return 0;
    pid_t pid = fork();
    if (pid == 0) {
        int id = plim_reclaimer_add("child", fork_inside, arg, PLIM_LOW);
        if (id < 0 || plim_reclaimer_remove(id) != 0)
            _exit(5);
        (void)plim_reclaim(MIB);
        child_work();
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    atomic_store(&call->child_status, status);
    return 0;
}

Test(fork_reclaimers, fork_inside_a_reclaimer, .timeout = 300)
{
    static struct in_call call = {.child_status = -1};
    int id = plim_reclaimer_add("fork", fork_inside, &call, PLIM_LOW);
    cr_assert_geq(id, 0);
    for (unsigned i = 0; i < 600 && atomic_load(&call.child_status) == -1; i++)
        (void)plim_reclaim(1024 * MIB); /* waits a second at most, each time */
    cr_expect_eq(atomic_load(&call.child_status), 0, "status %x", atomic_load(&call.child_status));
    cr_expect_eq(plim_reclaimer_remove(id), 0);
}

static size_t count_call(const struct plim_pressure *p, void *arg)
{
    struct in_call *call = arg;
    (void)p;
    atomic_fetch_add(&call->calls, 1);
    return 0;
}

Test(fork_reclaimers, reclaimers_are_called_in_the_child_too, .timeout = 300)
{
    static struct in_call call;
    cr_assert_geq(plim_reclaimer_add("count", count_call, &call, PLIM_LOW), 0);
    for (unsigned i = 0; i < 100 && atomic_load(&call.calls) == 0; i++)
        (void)plim_reclaim(1024 * MIB);
    cr_assert_gt(atomic_load(&call.calls), 0u);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(100);
        atomic_store(&call.calls, 0);
        for (unsigned i = 0; i < 90 && atomic_load(&call.calls) == 0; i++)
            (void)plim_reclaim(1024 * MIB);
        _exit(atomic_load(&call.calls) > 0 ? 0 : 6);
    }
    assert_child_ends_well(pid);
}

static size_t hold_up(const struct plim_pressure *p, void *arg)
{
    (void)p, (void)arg;
    while (!atomic_load(&stop))
        usleep(1000);
    return 0;
}

Test(fork_reclaimers, child_may_remove_a_reclaimer_that_runs_in_the_parent, .timeout = 300)
{
    int id = plim_reclaimer_add("hold", hold_up, NULL, PLIM_LOW);
    cr_assert_geq(id, 0);
    (void)plim_reclaim(1024 * MIB); /* gives up after a second; the call goes on */
    pid_t pid = fork();
    if (pid == 0) {
        alarm(100);
        _exit(plim_reclaimer_remove(id) == 0 ? 0 : 7);
    }
    assert_child_ends_well(pid);
    atomic_store(&stop, true);
}
