"""One service of a Debian root in an OCI container, by runc, under limits of memory and CPU."""

import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

PATIENCE = 60   # seconds


def wait_until(what, condition):
    """Waits for a condition."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE} s: {what}")
        time.sleep(0.05)


class Container:
    """Runs a command as a user, by the ids of the user, his group and more groups; use as a context."""

    def __init__(self, root, command, ids, mib, cpus):
        self.root, self.mib = root, mib
        self.name = f"plim_packages_{os.getpid()}_{time.monotonic_ns()}"
        self.config = {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False, "cwd": "/", "args": command,
                "user": {"uid": ids[0], "gid": ids[1], "additionalGids": ids[2:]},
                "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"],
            },
            "root": {"path": root.path},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["mode=1777"]},
                {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
            ],
            "linux": {
                "cgroupsPath": f"/{self.name}",
                "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network", "cgroup")],
                "resources": {
                    "memory": {"limit": mib << 20, "swap": mib << 20},
                    "cpu": {"quota": int(cpus * 100000), "period": 100000},
                },
            },
        }

    def __enter__(self):
        self.work = tempfile.mkdtemp(prefix="plim_packages_")
        with open(f"{self.work}/config.json", "w", encoding="utf-8") as file:
            json.dump(self.config, file)
        self.log = open(f"{self.work}/log", "w+", encoding="utf-8")
        # --keep: the counters are read before the cgroup goes.
        self.process = subprocess.Popen(
            self.runc("run", "--keep", "--bundle", self.work, self.name),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        return self

    def __exit__(self, *_):
        subprocess.run(self.runc("delete", "--force", self.name), check=False, capture_output=True)
        self.process.wait(timeout=PATIENCE)
        self.log.close()
        for group in self.groups():
            with contextlib.suppress(OSError):
                os.rmdir(group)
        shutil.rmtree(self.work)

    def runc(self, *arguments):
        return ["runc", "--root", f"{self.work}/state", *arguments]

    def groups(self):
        return glob.glob(f"/sys/fs/cgroup/{self.name}") + glob.glob(f"/sys/fs/cgroup/*/{self.name}")

    def inside(self, *command):
        """Runs one more command inside, as the same user; returns what it said."""
        return subprocess.run(self.runc("exec", self.name, *command), check=True, text=True,
                              capture_output=True, timeout=PATIENCE).stdout

    def is_running(self):
        return self.process.poll() is None

    def stop(self, signum=signal.SIGTERM):
        """Asks the service to end; returns its exit status."""
        subprocess.run(self.runc("kill", self.name, str(int(signum))), check=True, capture_output=True)
        return self.process.wait(timeout=PATIENCE)

    def kills(self):
        """How many of its processes the kernel has killed for memory."""
        for group in self.groups():
            for name in ("memory.oom_control", "memory.events"):
                with contextlib.suppress(OSError), open(f"{group}/{name}", encoding="utf-8") as file:
                    counts = dict(line.split() for line in file)
                    if "oom_kill" in counts:
                        return int(counts["oom_kill"])
        raise AssertionError(f"no count of kills for {self.name}")

    def said(self):
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()[-3000:]
