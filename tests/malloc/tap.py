"""For the scripted tests of the library: TAP, and running programs with a known environment."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap_report import Skip, Tap, equal, holds  # pylint: disable=wrong-import-position,unused-import


def run_all(module):
    """Runs every test_* function of the module, prints TAP, and exits."""
    tap = Tap()
    tap.run_all([f for name, f in vars(module).items() if name.startswith("test_")])
    tap.finish()


def environment(extra=None, preload=None):
    """Our environment without what would change the allocator, and with `extra`."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("PLIMSOLL", "MALLOC_"))}
    env.pop("LD_PRELOAD", None)
    if preload:
        env["LD_PRELOAD"] = preload
    env.update(extra or {})
    return env


def run(*command, env=None, preload=None, timeout=300, **more):
    """Runs a command to its end; stdout and stderr are text."""
    return subprocess.run(
        command, env=environment(env, preload), timeout=timeout, check=False, text=True,
        errors="surrogateescape", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, **more)


def must(*command, **more):
    """The same for a command that has to succeed; returns stdout."""
    done = run(*command, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command} gave {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def facts(text):
    """key=value lines as a dict."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
