"""Runs the process of an image in a container, by runc, under limits, as Docker and Kubernetes do."""

import contextlib
import glob
import json
import os
import shutil
import subprocess
import tempfile
import time

PATIENCE = 60   # seconds


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE} s: {what}")
        time.sleep(0.05)


def ids_of(root, user):
    """(uid, gid) of what USER names: numbers, or a name of the image's own."""
    if not user:
        return 0, 0
    name, _, group = user.partition(":")
    if name.isdigit():
        return int(name), int(group or 0)
    with open(f"{root}/etc/passwd", encoding="utf-8") as file:
        for line in file:
            fields = line.split(":")
            if fields[0] == name:
                return int(fields[2]), int(fields[3])
    raise AssertionError(f"no user {name} in {root}")


class Container:
    """root and settings: of an image. env and mounts go on top. pid_of: a process whose pid namespace it shares.
    Use as a context."""

    def __init__(self, root, settings, *arguments, mib=100, cpus=1.0, env=None, mounts=(), pid_of=None):
        self.name = f"plim_recipes_{os.getpid()}_{time.monotonic_ns()}"
        uid, gid = ids_of(root, settings.get("User", ""))
        variables = dict(item.split("=", 1) for item in settings.get("Env") or [])
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **variables, **(env or {})}
        namespaces = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")]
        if pid_of is not None:
            namespaces[0]["path"] = f"/proc/{pid_of}/ns/pid"
        self.config = {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False, "cwd": settings.get("WorkingDir") or "/", "user": {"uid": uid, "gid": gid},
                "args": [*(settings.get("Entrypoint") or []), *(arguments or settings.get("Cmd") or [])],
                "env": [f"{name}={value}" for name, value in variables.items()], "noNewPrivileges": True,
            },
            "root": {"path": root, "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["mode=1777", "size=64m"]},
                {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777", "size=8m"]},
                {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
                *mounts,
            ],
            "linux": {
                "cgroupsPath": f"/{self.name}",
                "namespaces": namespaces,
                "resources": {"memory": {"limit": mib << 20, "swap": mib << 20},
                              "cpu": {"quota": int(cpus * 100000), "period": 100000}},
            },
        }

    def __enter__(self):
        self.work = tempfile.mkdtemp(prefix="plim_recipes_")
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
        """Of its first process, as numbered here."""
        state = subprocess.run(self.runc("state", self.name), check=True, capture_output=True, text=True)
        return json.loads(state.stdout)["pid"]

    def status(self):
        """Exit status once it has ended."""
        return self.process.wait(timeout=PATIENCE)

    def is_running(self):
        return self.process.poll() is None

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
