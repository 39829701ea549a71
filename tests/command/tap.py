"""For the tests of the plimsoll command: TAP, and starting the command with a known environment."""

import os
import subprocess
import sys
import traceback


class Skip(Exception):
    """The machine lacks what a test needs."""


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def case(self, name, test, *args):
        """Runs one test: it fails by any exception."""
        self.count += 1
        try:
            test(*args)
            print(f"ok {self.count} - {name}")
        except Skip as reason:
            print(f"ok {self.count} - {name} # SKIP {reason}")
        except Exception:  # pylint: disable=broad-except
            self.failed += 1
            print(f"not ok {self.count} - {name}")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
        sys.stdout.flush()

    def run_all(self, tests):
        for test in tests:
            self.case(test.__name__.removeprefix("test_").replace("_", " "), test)

    def finish(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)


COMMAND = os.path.abspath(sys.argv[1])
LIBRARY = os.path.realpath(sys.argv[2])


def environment(extra):
    """Ours without what would change the command, and with `extra`."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PLIMSOLL")}
    env.pop("LD_PRELOAD", None)
    env.update(extra)
    return env


def plimsoll(*args, env=None, timeout=60, **more):
    """Runs the command to its end; stdout and stderr are text."""
    return subprocess.run(
        [COMMAND, *args], env=environment(env or {}), timeout=timeout, check=False, text=True,
        errors="surrogateescape", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, **more)


def start(*args, env=None, **more):
    """Starts the command; its stdout is a pipe of text."""
    return subprocess.Popen(
        [COMMAND, *args], env=environment(env or {}), text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def equal(got, expected, what=""):
    if got != expected:
        raise AssertionError(f"{what}: got {got!r}, expected {expected!r}")


def holds(text, part):
    if part not in text:
        raise AssertionError(f"{part!r} is not in {text!r}")
