"""What the Python tests share: cases as TAP on stdout, and two checks that report what they saw."""

import sys
import traceback


class Skip(Exception):
    """The machine lacks what a case needs."""


class Tap:
    """Numbers the cases; a failed case is followed by comments that tell what went wrong."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def case(self, name, test, *args):
        """Runs one case: it fails by any exception but Skip."""
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
        """Runs functions named test_what_holds as cases named "what holds"."""
        for test in tests:
            self.case(test.__name__.removeprefix("test_").replace("_", " "), test)

    def finish(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)


def equal(got, expected, what=""):
    if got != expected:
        raise AssertionError(f"{what}: got {got!r}, expected {expected!r}")


def holds(text, part):
    if part not in text:
        raise AssertionError(f"{part!r} is not in {text!r}")
