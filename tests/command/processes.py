"""For the tests of stats pages: programs under the library, and their pages."""

import contextlib
import glob
import os
import select
import shutil
import subprocess
import sys
import tempfile

from tap import LIBRARY, Skip, environment

# A Python that other users may execute as well.
PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
# Reads commands on stdin: Python statements, one a line; answers each with a line.
PROGRAM = """
import os, sys, time
kept = []
def grow(mib):
    kept.extend(bytes(1000) for _ in range(mib << 10))
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Process:
    """A program that does what it is told; use as a context. Its page is in `directory`."""

    def __init__(self, *commands, env=None, command=None, **more):
        self.commands, self.more = commands, more
        self.env = environment({"LD_PRELOAD": LIBRARY, **(env or {})})
        self.command = command or [PYTHON, "-c", PROGRAM]

    def __enter__(self):
        # env(1) sets the variable, so that nothing in between is preloaded.
        preload = self.env.pop("LD_PRELOAD")
        self.process = subprocess.Popen(
            ["env", f"LD_PRELOAD={preload}", *self.command], env=self.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **self.more)
        self.pid = self.process.pid
        for command in self.commands:
            self.do(command)
        return self

    def do(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], 60)[0]:
            raise AssertionError(f"{command}: no answer")
        answer = self.process.stdout.readline()
        if answer != "done\n":
            raise AssertionError(f"{command}: {answer!r}, {self.process.stderr.read()}")

    def end(self):
        """Lets it exit; returns its stderr."""
        _, told = self.process.communicate(timeout=60)
        return told

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def pages(directory, pid="*"):
    return sorted(glob.glob(f"{directory}/plimsoll.{pid}.*"))


def start_time(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[19])


def own_pages(directory, pid):
    """This process's page, as a list, without those that an earlier process with its pid left."""
    path = f"{directory}/plimsoll.{pid}.{start_time(pid)}"
    return [path] if os.path.lexists(path) else []


@contextlib.contextmanager
def directory(mode=0o700):
    path = tempfile.mkdtemp(prefix="plim_pages_")
    os.chmod(path, mode)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


@contextlib.contextmanager
def tmpfs(options):
    need_root()
    with directory() as where:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "plim", where], check=False,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Skip(f"nothing can be mounted: {done.stderr.strip()}")
        try:
            yield where
        finally:
            subprocess.run(["umount", where], check=True)
