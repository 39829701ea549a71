"""How a program is run: as it is, or with the library preloaded, and then possibly in a cgroup."""

import os
import shutil
import subprocess
import tempfile

from tap import Skip

# Variables with these prefixes are taken out of the environment: they change an allocator or the
# language.
DROPPED = ("PLIMSOLL", "LD_PRELOAD", "MALLOC_", "GLIBC_TUNABLES", "LC_", "LANG", "GIT_", "RUBY",
           "PERL", "PYTHON", "NODE_")


class Setting:
    """Owns an empty directory of its own, `work`; use as a context."""

    def __init__(self, library=None, box=None, env=None):
        self.library, self.box, self.env = library, box, env or {}

    def __enter__(self):
        self.work = tempfile.mkdtemp(prefix="plim_prog_", dir="/var/tmp")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.work, ignore_errors=True)

    def clean(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(DROPPED)}
        return {**env, "LC_ALL": "C", "TZ": "UTC", "HOME": self.work}

    def command(self, command):
        """Preloads by env(1), so that the library is in nothing but the program itself."""
        if self.library:
            command = ["env", f"LD_PRELOAD={self.library}", *command]
        return self.box.inside(command) if self.box else list(command)

    def start(self, *command, **more):
        env = {**self.clean(), **self.env}
        return subprocess.Popen(self.command(command), env=env, cwd=self.work, **more)

    def run(self, *command, stdin=b"", timeout=600):
        """Runs to the end and returns stdout. A failure, or any output on stderr, is an error."""
        if not shutil.which(command[0], path=os.environ["PATH"]):
            raise Skip(f"{command[0]} is not installed")
        env = {**self.clean(), **self.env}
        done = subprocess.run(self.command(command), env=env, cwd=self.work, input=stdin,
                              timeout=timeout, check=False, capture_output=True)
        if done.returncode != 0 or done.stderr:
            told = done.stderr.decode(errors="replace")[-2000:]
            raise AssertionError(f"{command[0]} exited with {done.returncode}: {told}")
        return done.stdout

    def plainly(self, *command, stdin=b""):
        """For preparing and checking: neither preloaded nor in the cgroup."""
        done = subprocess.run(command, env=self.clean(), cwd=self.work, input=stdin, timeout=600,
                              check=False, capture_output=True)
        if done.returncode != 0:
            raise AssertionError(f"{command[0]} exited with {done.returncode}: {done.stderr[-2000:]!r}")
        return done.stdout
