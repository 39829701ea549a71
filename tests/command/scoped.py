"""plimsoll run with limits, as its tests start it."""

import cgroups
from tap import LIBRARY, equal, start

RUN = ["run", "--library", LIBRARY]
SCOPED = [*RUN, "-m", "256Mi", "--cpus", "1.5"]
SHOW_CGROUP = "cat /proc/self/cgroup"


def gone(child):
    equal(cgroups.scopes_of(child.pid), set(), "cgroups left behind")


def scoped(*args, **more):
    """Runs args in a scope to its end. Returns the ended process, with what it printed."""
    cgroups.need()
    child = start(*SCOPED, "--", *args, **more)
    child.out, child.err = child.communicate(timeout=60)
    return child


def wait_for_line(child, line):
    while True:
        got = child.stdout.readline()
        if not got:
            raise AssertionError(f"ended before {line!r}: {child.communicate()}")
        if got.strip() == line:
            return
