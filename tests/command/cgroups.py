"""Finds the cgroups of plimsoll run by the kernel's own files."""

import os

from tap import Skip


def mounts():
    """{controller: mount point}; v2 has the key "" """
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        for line in lines:
            fields = line.split()
            dash = fields.index("-")
            kind, point, options = fields[dash + 1], fields[4], fields[dash + 3].split(",")
            if kind == "cgroup2":
                found.setdefault("", point)
            elif kind == "cgroup":
                for option in options:
                    found.setdefault(option, point)
    return found


def directory(text, controller):
    """The directory of a cgroup, from the text of /proc/PID/cgroup."""
    known = mounts()
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return known[controller] + path.rstrip("/")
    for line in text.splitlines():
        if line.startswith("0::"):
            return known[""] + line[3:].rstrip("/")
    raise Skip(f"no {controller} cgroup")


def own(controller):
    with open("/proc/self/cgroup", encoding="utf-8") as lines:
        return directory(lines.read(), controller)


def value(path, *names):
    """The contents of the first of these files that exists."""
    for name in names:
        if os.path.exists(f"{path}/{name}"):
            with open(f"{path}/{name}", encoding="utf-8") as file:
                return file.read().strip()
    raise FileNotFoundError(f"{path}: none of {names}")


def memory_limit(path):
    return value(path, "memory.limit_in_bytes", "memory.max")


def cpu_quota(path):
    """The quota in CPUs."""
    if os.path.exists(f"{path}/cpu.max"):
        quota, period = value(path, "cpu.max").split()
    else:
        quota, period = value(path, "cpu.cfs_quota_us"), value(path, "cpu.cfs_period_us")
    return int(quota) / int(period)


def scopes_of(pid):
    """Directories that the plimsoll run with this pid made and that are still there."""
    found = set()
    for point in set(mounts().values()):
        for path, names, _ in os.walk(point):
            found.update(f"{path}/{name}" for name in names if name.startswith(f"plim_run_{pid}"))
    return found


def need():
    """Skips the test where no cgroup with limits can be made."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    for controller in "memory", "cpu":
        if not os.access(own(controller), os.W_OK):
            raise Skip(f"{own(controller)} is not writable")
