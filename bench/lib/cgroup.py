"""A memory cgroup, v1 or v2, that lives for one run, and the sampling of its usage."""
import contextlib
import os
import signal
import subprocess
import threading
import time

INTERVAL = 0.02     # seconds between two samples
FILES = {
    1: {"limit": "memory.limit_in_bytes", "swap": "memory.memsw.limit_in_bytes", "usage": "memory.usage_in_bytes",
        "peak": "memory.max_usage_in_bytes", "kills": "memory.oom_control", "prefix": "total_"},
    2: {"limit": "memory.max", "swap": "memory.swap.max", "usage": "memory.current",
        "peak": "memory.peak", "kills": "memory.events", "prefix": ""},
}


class Group:
    """Use as a context: what runs in the group is killed, and the group removed, at its end."""
    count = 0

    def __init__(self, prefix, version, limit):
        Group.count += 1
        self.path = f"{prefix}.{Group.count}"
        self.version, self.limit = version, limit

    def __enter__(self):
        os.mkdir(self.path)
        if self.limit:
            self._write("limit", self.limit)
            with contextlib.suppress(OSError):  # no swap, or not counted
                self._write("swap", self.limit if self.version == 1 else 0)
        return self

    def __exit__(self, *_):
        for _ in range(100):
            self.kill_all()
            with contextlib.suppress(OSError):
                return os.rmdir(self.path)
            time.sleep(0.05)
        raise RuntimeError(f"cannot remove {self.path}")

    def _write(self, what, value):
        with open(f"{self.path}/{FILES[self.version][what]}", "w") as file:
            file.write(str(value))

    def _read(self, what):
        with open(f"{self.path}/{FILES[self.version][what]}") as file:
            return file.read()

    def start(self, command, **options):
        """Starts a command, which is in the group before its program is loaded."""
        enter = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
        return subprocess.Popen(["/bin/sh", "-c", enter, self.path, *command], **options)

    def pids(self):
        with open(f"{self.path}/cgroup.procs") as file:
            return [int(pid) for pid in file.read().split()]

    def kill_all(self):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def usage(self):
        return int(self._read("usage"))

    def peak(self):
        """The kernel's own high mark; None where there is none (v2 before Linux 5.19)."""
        with contextlib.suppress(FileNotFoundError):
            return int(self._read("peak"))

    def kills(self):
        return int(dict(line.split() for line in self._read("kills").splitlines())["oom_kill"])

    def page_cache(self):
        """Cached files: what the kernel drops before it kills."""
        prefix = FILES[self.version]["prefix"]
        with open(f"{self.path}/memory.stat") as file:
            values = dict(line.split() for line in file)
        return sum(int(values[prefix + name]) for name in ("inactive_file", "active_file"))

    def maps(self, library):
        """Whether a process of the group has this library loaded."""
        for pid in self.pids():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/maps") as file:
                if os.path.realpath(library) in file.read():
                    return True
        return False


class Sampler(threading.Thread):
    """Notes the usage of a group over time and whether a library was loaded in it; ends all that runs in the group
    at its first OOM kill, or when its time is up."""

    def __init__(self, group, library, timeout, watch=None):
        """watch: called with the group at every sample."""
        super().__init__(daemon=True)
        self.group, self.library, self.timeout, self.watch = group, library, timeout, watch
        self.samples = []           # (seconds, bytes), up to the kill
        self.killed_at = None
        self.late = False
        self.loaded = False
        self.done = threading.Event()

    def __enter__(self):
        self.start_time = time.monotonic()
        self.start()
        return self

    def __exit__(self, *_):
        self.seconds = self.elapsed()
        self.done.set()
        self.join()
        self.look_for_kill()    # a kill since the last sample

    def elapsed(self):
        return time.monotonic() - self.start_time

    def run(self):
        os.setpriority(os.PRIO_PROCESS, 0, -20)     # this thread only: busy programs must not delay it
        due = 0
        while not self.done.wait(max(0, due - self.elapsed())) and not self.look_for_end():
            due = self.elapsed() + INTERVAL
            self.samples.append((self.elapsed(), self.group.usage()))
            self.loaded = self.loaded or self.group.maps(self.library)
            if self.watch:
                self.watch(self.group)

    def look_for_end(self):
        self.late = self.elapsed() > self.timeout
        if not self.look_for_kill() and not self.late:
            return False
        while not self.done.wait(INTERVAL):     # again and again: processes may still be starting
            self.group.kill_all()
        return True

    def look_for_kill(self):
        if self.killed_at is None and self.group.kills():
            self.killed_at = self.elapsed()
        return self.killed_at is not None
