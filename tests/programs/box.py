"""A memory cgroup that lives for one case, v1 or v2: plim_prog_PID, or plim_prog_PID_NAME."""

import contextlib
import os
import signal
import time

from tap import Skip


def controller():
    """(directory, version) of the memory controller's mount."""
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        mounts = [line.split() for line in lines]
    unified = None
    for fields in mounts:
        kind, options = fields[fields.index("-") + 1], fields[-1].split(",")
        if kind == "cgroup" and "memory" in options:
            return fields[4], 1
        if kind == "cgroup2":
            unified = fields[4]
    if unified:
        with open(f"{unified}/cgroup.subtree_control", encoding="utf-8") as file:
            if "memory" in file.read().split():
                return unified, 2
    raise Skip("no memory cgroup controller for processes to be put under")


class Box:
    """Use as a context: at its end what runs inside is killed, and the cgroup removed."""

    def __init__(self, mib, name=""):
        self.mib = mib
        self.name = f"plim_prog_{os.getpid()}" + (f"_{name}" if name else "")
        self.path = None

    def __enter__(self):
        if os.geteuid() != 0:
            raise Skip("making a cgroup needs root")
        mount, self.version = controller()
        path = f"{mount}/{self.name}"
        try:
            os.mkdir(path)
        except OSError as error:
            raise Skip(f"no cgroup can be made in {mount}: {error.strerror}") from error
        self.path = path
        limit = "memory.limit_in_bytes" if self.version == 1 else "memory.max"
        with open(f"{path}/{limit}", "w", encoding="utf-8") as file:
            file.write(str(self.mib << 20))
        return self

    def __exit__(self, *_):
        for _ in range(200):
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.rmdir(self.path)
                return
            time.sleep(0.05)
        raise RuntimeError(f"cannot remove {self.path}")

    def pids(self):
        with open(f"{self.path}/cgroup.procs", encoding="utf-8") as file:
            return [int(pid) for pid in file.read().split()]

    def kills(self):
        """How many processes the kernel has killed in here."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        with open(f"{self.path}/{name}", encoding="utf-8") as file:
            return int(dict(line.split() for line in file)["oom_kill"])

    def peak(self):
        """The most ever charged, page cache included; 0 where the kernel does not tell."""
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        if not os.path.exists(f"{self.path}/{name}"):
            return 0
        with open(f"{self.path}/{name}", encoding="utf-8") as file:
            return int(file.read())

    def inside(self, command):
        """The words that start `command` inside."""
        enter = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
        return ["/bin/sh", "-c", enter, self.path, *command]
