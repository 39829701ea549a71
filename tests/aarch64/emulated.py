"""Programs for arm64, by qemu-user. What they execute is emulated as well, if the kernel knows how.

binfmt_misc tells it, in a user namespace of our own (Linux 6.7 and later), so that this machine's
setting stays as it is.
"""

import os
import subprocess

from tap_report import Skip

QEMU = "qemu-aarch64"
# The fields of an ELF header that mean: 64 bit, little endian, a program or a library, for arm64.
MAGIC = (r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
         r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff")
INSIDE = """
echo entered
read -r mapped
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc &&
    printf %s "$0" >/proc/sys/fs/binfmt_misc/register || { echo refused; exit 77; }
echo ready
exec "$@"
"""


def environment(extra=None):
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("PLIMSOLL", "MALLOC_", "LD_"))}
    return {**env, **(extra or {})}


def run(root, command, env=None, timeout=300):
    """Runs one program, with these variables in its environment."""
    seen = [word for name, value in (env or {}).items() for word in ("-E", f"{name}={value}")]
    return subprocess.run([QEMU, "-L", root, *seen, *command], env=environment(), check=False,
                          text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout)


def run_with_children(root, command, env=None, timeout=300):
    """Runs a program that executes others; returns (exit status, stdout, stderr)."""
    if os.geteuid() != 0:
        raise Skip("making a user namespace with all users in it needs root")
    qemu = subprocess.run(["which", QEMU], check=True, text=True, capture_output=True).stdout.strip()
    # F: opened now, whatever the mounts will be. C: users as they are. O: opened by the kernel.
    rule = f":plimsoll-arm64:M::{MAGIC[0]}:{MAGIC[1]}:{qemu}:OCF"
    with subprocess.Popen(["unshare", "--user", "--mount", "sh", "-c", INSIDE, rule, *command],
                          env=environment({"QEMU_LD_PREFIX": root, **(env or {})}), text=True,
                          errors="replace", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        if process.stdout.readline() != "entered\n":
            raise Skip(f"no user namespace can be made: {process.stderr.read().strip()}")
        for what in "uid_map", "gid_map":
            with open(f"/proc/{process.pid}/{what}", "w", encoding="utf-8") as file:
                file.write("0 0 4294967295")
        process.stdin.write("mapped\n")
        process.stdin.flush()
        if process.stdout.readline() != "ready\n":
            raise Skip("binfmt_misc cannot be had in a user namespace (Linux 6.7 and later): "
                       f"{process.stderr.read().strip()}")
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return process.returncode, out, err
