"""For the tests of the plimsoll command: TAP, and starting the command with a known environment."""

import os
import subprocess
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap_report import Skip, Tap, equal, holds  # pylint: disable=wrong-import-position,unused-import

COMMAND = os.path.abspath(sys.argv[1])
LIBRARY = os.path.realpath(sys.argv[2])


def environment(extra):
    """Our environment without what would change the command, and with `extra`."""
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
