"""A cgroup whose memory limit and CPU quota change while programs run in it, v1 or v2."""

import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "programs")]
sys.path.append(os.path.join(os.path.dirname(HERE), "command"))
from box import Box  # pylint: disable=wrong-import-position
import cgroups  # pylint: disable=wrong-import-position

MIB = 1 << 20
PERIOD_US = 100000


class Group(Box):
    """Use as a context. On v1 it has a second directory, for the CPU controller."""

    def __enter__(self):
        super().__enter__()
        mounts = cgroups.mounts()
        self.cpu = None
        if self.version == 1 and "cpu" in mounts:
            self.cpu = os.path.join(mounts["cpu"], os.path.basename(self.path))
            os.makedirs(self.cpu, exist_ok=True)
        elif self.version == 2 and os.path.exists(f"{self.path}/cpu.max"):
            self.cpu = self.path
        self.limit = self.mib * MIB
        return self

    def __exit__(self, *exception):
        super().__exit__(*exception)
        while self.version == 1 and self.cpu and os.path.isdir(self.cpu):
            try:
                os.rmdir(self.cpu)
            except OSError:
                time.sleep(0.05)

    def read(self, name, key=None):
        """The number in a file, or the one after a key."""
        with open(f"{self.path}/{name}", encoding="utf-8") as file:
            text = file.read()
        return int(dict(line.split()[:2] for line in text.splitlines())[key] if key else text)

    def usage(self):
        """Usage without what the kernel would drop by itself."""
        if self.version == 1:
            return (self.read("memory.usage_in_bytes") - self.read("memory.stat", "inactive_file") -
                    self.read("memory.stat", "active_file"))
        return (self.read("memory.current") - self.read("memory.stat", "inactive_file") -
                self.read("memory.stat", "active_file"))

    def set_limit(self, limit):
        """Returns False if the kernel refused the limit."""
        name = "memory.limit_in_bytes" if self.version == 1 else "memory.max"
        try:
            with open(f"{self.path}/{name}", "w", encoding="utf-8") as file:
                file.write(str(limit))
        except OSError:
            return False
        self.limit = limit
        return True

    def set_quota(self, percent):
        """Sets the quota, in percent of one CPU; None: no quota."""
        if not self.cpu:
            return
        quota = percent * PERIOD_US // 100 if percent else -1
        name, text = "cpu.cfs_quota_us", str(quota)
        if self.version == 2:
            name, text = "cpu.max", f"{quota if percent else 'max'} {PERIOD_US}"
        with open(f"{self.cpu}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, *command, **more):
        directories = [self.path] + ([self.cpu] if self.cpu not in (None, self.path) else [])
        enter = 'for d in $0; do echo $$ >"$d/cgroup.procs" || exit 9; done; exec "$@"'
        return subprocess.Popen(["/bin/sh", "-c", enter, " ".join(directories), *command], **more)
