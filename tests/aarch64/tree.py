"""An arm64 tree of Debian's to compile for: the packages unpacked into a directory, installed nowhere.

apt works with a configuration, lists and a status of its own, so that this machine's dpkg never hears
of another architecture; apt checks the packages like any others.
"""

import glob
import os
import subprocess

from tap_report import Skip

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITE = "bookworm"
PACKAGES = ("libjemalloc-dev", "libcriterion-dev", "libcgroup-dev", "libjansson-dev",
            "libncurses-dev", "libmicrohttpd-dev", "libstdc++6")


def run(*command):
    return subprocess.run(command, check=False, text=True, timeout=400, capture_output=True,
                          stdin=subprocess.DEVNULL)


def download(directory):
    """Downloads the packages and what they depend on."""
    for name in "lists/partial", "cache/archives/partial":
        os.makedirs(f"{directory}/{name}")
    with open(f"{directory}/status", "w", encoding="utf-8"):
        pass
    with open(f"{directory}/sources.list", "w", encoding="utf-8") as file:
        file.write(f"deb [arch=arm64 signed-by={KEYRING}] http://deb.debian.org/debian {SUITE} main\n")
    options = {"APT::Architecture": "arm64", "APT::Architectures": "arm64",
               "APT::Sandbox::User": "root", "APT::Install-Recommends": "false",
               "Acquire::Retries": "3", "Debug::NoLocking": "true",
               "Dir::State::status": f"{directory}/status",
               "Dir::State::Lists": f"{directory}/lists", "Dir::Cache": f"{directory}/cache",
               "Dir::Etc::SourceList": f"{directory}/sources.list",
               "Dir::Etc::SourceParts": "/dev/null"}
    apt = ["apt-get", "-qq"]
    for name, value in options.items():
        apt += ["-o", f"{name}={value}"]
    for command in [*apt, "update"], [*apt, "-y", "--download-only", "install", *PACKAGES]:
        done = run(*command)
        if done.returncode:
            raise Skip(f"no arm64 packages can be had: {done.stderr.strip().splitlines()[-1:]}")
    return glob.glob(f"{directory}/cache/archives/*.deb")


def make(root):
    """Makes the tree if it is not there yet; whole or not at all."""
    if os.path.isdir(root):
        return
    scratch = f"{root}.{os.getpid()}"
    os.makedirs(scratch)
    try:
        for package in download(scratch):
            done = run("dpkg-deb", "-x", package, f"{scratch}/root")
            if done.returncode:
                raise AssertionError(done.stderr)
        os.rename(f"{scratch}/root", root)
    finally:
        run("rm", "-rf", scratch)
