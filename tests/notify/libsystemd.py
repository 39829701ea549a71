"""A libsystemd that has sd_event_add_memory_pressure(): version 254 and later.

Debian 12 has 252. Its backports have a later one, which is unpacked into a directory and not
installed; apt checks it like any package.
"""

import glob
import os
import subprocess

from tap_report import Skip

NEEDED = 254
SOURCE = ("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
          "http://deb.debian.org/debian bookworm-backports main\n")
PACKAGES = ("libsystemd0", "libsystemd-dev")


def run(command, **more):
    return subprocess.run(command, check=False, text=True, timeout=300, capture_output=True, **more)


def installed():
    """The compiler's flags for the installed library; None if it is too old."""
    if run(["pkg-config", f"--atleast-version={NEEDED}", "libsystemd"]).returncode:
        return None
    return run(["pkg-config", "--cflags", "--libs", "libsystemd"]).stdout.split()


def download(directory):
    """Downloads the packages by apt alone, which has lists of its own in there."""
    lists, archives = f"{directory}/lists", f"{directory}/archives"
    os.makedirs(f"{lists}/partial")
    os.makedirs(f"{archives}/archives/partial")
    with open(f"{directory}/sources.list", "w", encoding="utf-8") as file:
        file.write(SOURCE)
    apt = ["apt-get", "-qq", "-o", f"Dir::Etc::SourceList={directory}/sources.list", "-o",
           "Dir::Etc::SourceParts=/dev/null", "-o", f"Dir::State::Lists={lists}", "-o",
           f"Dir::Cache={archives}", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"]
    names = [f"{name}/bookworm-backports" for name in PACKAGES]
    for command in [*apt, "update"], [*apt, "download", *names]:
        done = run(command, cwd=directory)
        if done.returncode:
            raise Skip(f"libsystemd {NEEDED} is not installed, and bookworm-backports cannot be "
                       f"had: {done.stderr.strip().splitlines()[-1:]}")
    return glob.glob(f"{directory}/*.deb")


def unpacked(directory):
    for package in download(directory):
        done = run(["dpkg-deb", "-x", package, f"{directory}/root"])
        if done.returncode:
            raise AssertionError(done.stderr)
    library = os.path.dirname(glob.glob(f"{directory}/root/usr/lib/*/libsystemd.so.0")[0])
    return [f"-I{directory}/root/usr/include", f"{library}/libsystemd.so.0", f"-Wl,-rpath,{library}"]


def flags(directory):
    """Flags for the compiler. `directory` is empty, and may hold the library from then on."""
    return installed() or unpacked(directory)
