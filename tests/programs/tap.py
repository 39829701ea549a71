"""TAP on stdout: one line a case, what went wrong as comments below it."""

import sys
import traceback


class Skip(Exception):
    """The machine lacks what a case needs."""


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def case(self, name, test):
        """A case fails by any exception but Skip."""
        self.count += 1
        try:
            test()
            print(f"ok {self.count} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {self.count} - {name} # SKIP {reason}", flush=True)
        except Exception:  # pylint: disable=broad-except
            self.failed += 1
            print(f"not ok {self.count} - {name}")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)

    def finish(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)
