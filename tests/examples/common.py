"""What the tests of the examples share: where things are, and running one as a user would."""

import os
import re
import shutil
import subprocess
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TESTS)
sys.path.append(os.path.join(TESTS, "programs"))
# pylint: disable=wrong-import-position,unused-import
from box import Box, controller
from setting import Setting
from tap import Skip, Tap
from waiting import wait_until

paths = {}


def begin(library, command, count_malloc, docs):
    paths.update(library=os.path.abspath(library), command=os.path.abspath(command),
                 count_malloc=os.path.abspath(count_malloc), docs=os.path.abspath(docs))


def user_environment():
    """The environment of a user who has Plimsoll installed. Debian's own tools come first."""
    build = os.path.dirname(paths["library"])
    return {"PATH": f"{os.path.dirname(paths['command'])}:/usr/bin:/bin:{os.environ['PATH']}",
            "CPATH": os.path.join(ROOT, "include"), "LIBRARY_PATH": build,
            "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}


def first_line_of(path, key):
    """What stands after "key:" in the comment at the top of a file."""
    with open(path, encoding="utf-8") as file:
        found = re.search(rf"^[ */#!-]*\s{key}:\s*(\S.*)$", file.read(4000), re.M)
    if not found:
        raise AssertionError(f"{path} has no line {key}: at its top")
    return found.group(1)


class Workplace(Setting):
    """A copy of an example's directory to build and run in."""

    def __init__(self, directory, **more):
        super().__init__(env=user_environment(), **more)
        self.directory = directory

    def __enter__(self):
        super().__enter__()
        shutil.copytree(os.path.join(paths["docs"], "examples", self.directory), self.work,
                        dirs_exist_ok=True)
        self.env["GOCACHE"] = f"{self.work}/go-cache"
        return self

    def shell(self, line):
        """Runs a line of shell; returns (exit status, stdout, stderr)."""
        done = subprocess.run(["/bin/sh", "-c", line], cwd=self.work, check=False, timeout=300,
                              env={**self.clean(), **self.env}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def must(self, line):
        status, out, err = self.shell(line)
        if status != 0 or err:
            raise AssertionError(f"{line}: exit status {status}\n{out}{err}")
        return out

    def build(self, name, flags=""):
        """Builds by the line in the file `name`, if the compiler is there. Output is an error."""
        if name.endswith((".py", ".rb", ".js")):
            return
        line = first_line_of(os.path.join(self.work, name), "Build")
        if not shutil.which(line.split()[0], path=self.env["PATH"]):
            raise Skip(f"{line.split()[0]} is not installed")
        self.must(f"{line} {flags}")


def numbers(text):
    """key=number pairs as a dict; of several with the same key the last one."""
    return {key: int(value) for key, value in re.findall(r"(\w+)=(-?\d+)", text)}
