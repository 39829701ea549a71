"""TAP and commands, as all tests in Python have them."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

sys.path.append(os.path.join(ROOT, "tests"))
from tap_report import Skip, Tap, equal, holds  # pylint: disable=wrong-import-position,unused-import


def run_all(module):
    """Runs every test_* function of the module, prints TAP, and exits."""
    tap = Tap()
    tap.run_all([f for name, f in vars(module).items() if name.startswith("test_")])
    tap.finish()


def run(*command, timeout=600, **more):
    """Runs a command to its end; stdout holds all its output, as text."""
    return subprocess.run(command, timeout=timeout, check=False, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **more)


def must(*command, **more):
    """The same for a command that has to succeed; returns its output."""
    done = run(*command, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command} gave {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()
