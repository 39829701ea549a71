"""Runs a command in a container, by runc, under limits of memory and CPU."""

import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from waiting import PATIENCE


class Container:
    """root: a directory. ids: of the user, the group and further groups. env and mounts are added.
    share: {kind of namespace: the file of the one to join}, None for the machine's. Use as a
    context."""

    def __init__(self, root, command, *, ids=(0, 0), env=None, cwd="/", mounts=(), readonly=False, share=None,
                 mib=100, cpus=1.0):
        self.name = f"plim_tests_{os.getpid()}_{time.monotonic_ns()}"
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})}
        namespaces = {**dict.fromkeys(("pid", "ipc", "uts", "mount", "network", "cgroup"), ""), **(share or {})}
        self.config = {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False, "cwd": cwd, "args": command, "noNewPrivileges": True,
                "user": {"uid": ids[0], "gid": ids[1], "additionalGids": list(ids[2:])},
                "env": [f"{name}={value}" for name, value in variables.items()],
            },
            "root": {"path": root, "readonly": readonly},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["mode=1777", "size=64m"]},
                {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
                *mounts,
            ],
            "linux": {
                "cgroupsPath": f"/{self.name}",
                "namespaces": [{"type": kind, **({"path": path} if path else {})}
                               for kind, path in namespaces.items() if path is not None],
                "resources": {"memory": {"limit": mib << 20, "swap": mib << 20},
                              "cpu": {"quota": int(cpus * 100000), "period": 100000}},
            },
        }

    def __enter__(self):
        self.work = tempfile.mkdtemp(prefix="plim_runc_")
        with open(f"{self.work}/config.json", "w", encoding="utf-8") as file:
            json.dump(self.config, file)
        with open(f"{self.work}/log", "wb") as log:
            # --keep: the counters are read before the cgroup goes.
            self.process = subprocess.Popen(self.runc("run", "--keep", "--bundle", self.work, self.name),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        subprocess.run(self.runc("delete", "--force", self.name), check=False, capture_output=True)
        self.process.wait(timeout=PATIENCE)
        for group in self.groups():
            with contextlib.suppress(OSError):
                os.rmdir(group)
        shutil.rmtree(self.work)

    def runc(self, *arguments):
        return ["runc", "--root", f"{self.work}/state", *arguments]

    def groups(self):
        return glob.glob(f"/sys/fs/cgroup/{self.name}") + glob.glob(f"/sys/fs/cgroup/*/{self.name}")

    def pid(self):
        """The pid of its first process, as seen from here."""
        state = subprocess.run(self.runc("state", self.name), check=True, capture_output=True, text=True)
        return json.loads(state.stdout)["pid"]

    def inside(self, *command):
        """Runs one more command inside, as the same user; returns its output."""
        return subprocess.run(self.runc("exec", self.name, *command), check=True, text=True,
                              capture_output=True, timeout=PATIENCE).stdout

    def is_running(self):
        return self.process.poll() is None

    def status(self):
        """Waits for its end; returns the exit status."""
        return self.process.wait(timeout=PATIENCE)

    def stop(self, signum=signal.SIGTERM):
        """Asks it to end; returns its exit status."""
        subprocess.run(self.runc("kill", self.name, str(int(signum))), check=True, capture_output=True)
        return self.status()

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
        with open(f"{self.work}/log", encoding="utf-8", errors="replace") as file:
            return file.read()[-3000:]
