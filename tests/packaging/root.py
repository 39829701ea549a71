"""Copies of a minimal Debian 12, to build and install in: tests/debian_root makes the original once."""

import os
import sys

from tap import ROOT, must, run


def own_mounts():
    """Starts this program again with mounts of its own, which vanish with it, however it ends."""
    if os.environ.get("PLIM_OWN_MOUNTS") != "yes":
        env = {**os.environ, "PLIM_OWN_MOUNTS": "yes"}
        os.execvpe("unshare", ["unshare", "--mount", sys.executable, *sys.argv], env)


class DebianRoot:
    """A copy of the original, below the build directory; use as a context."""

    def __init__(self, build, name, in_memory=False):
        self.build, self.in_memory = build, in_memory
        self.work = os.path.join(build, "packages-" + name)
        self.path = os.path.join(self.work, "root")

    def __enter__(self):
        original = os.path.join(self.build, "debian-root")
        must(os.path.join(ROOT, "tests/debian_root"), original)
        # A run that was killed may have left it.
        must("rm", "-rf", self.work)
        os.mkdir(self.work)
        # Faster, but not for a service: what that writes here would count against its limit.
        if self.in_memory:
            must("mount", "-t", "tmpfs", "-o", "size=2G", "tmpfs", self.work)
        self.copy(original)
        must("mount", "-t", "proc", "proc", self.at("/proc"))
        must("mount", "--rbind", "/dev", self.at("/dev"))
        self.must("apt-get update -qq")
        return self

    def __exit__(self, *_):
        must("umount", "--recursive", self.path)
        if self.in_memory:
            must("umount", self.work)
        must("rm", "-rf", self.work)

    def copy(self, original):
        """By an overlay, where the kernel has it for this file system: that saves some seconds."""
        upper, work = (os.path.join(self.work, name) for name in ("upper", "work"))
        for path in (self.path, upper, work):
            os.mkdir(path)
        options = f"lowerdir={original},upperdir={upper},workdir={work}"
        if run("mount", "-t", "overlay", "overlay", "-o", options, self.path).returncode != 0:
            must("cp", "-a", original + "/.", self.path)
            must("mount", "--bind", self.path, self.path)

    def at(self, path):
        """A path of the root, as seen from outside."""
        return self.path + path

    def command(self, *command, user="root"):
        """The command that runs `command` inside."""
        clean = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                 "LC_ALL=C.UTF-8", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"]
        return ["chroot", f"--userspec={user}", self.path, *clean, *command]

    def must(self, script, user="root"):
        """Runs lines of shell inside, the first that fails being an error; returns their output."""
        return must(*self.command("sh", "-euc", script, user=user), timeout=900)
