"""Source packages of Debian, for test suites that no binary package holds.

They are kept unpacked in the build directory. There apt-get has its own lists and cache: the
system's stay as they are.
"""

import functools
import glob
import os
import re
import shutil
import subprocess

MIRROR = "http://deb.debian.org"
TOOLS = {"apt-get": "apt", "dpkg-source": "dpkg-dev"}  # and the package of each
PATIENCE = 600


class Missing(Exception):
    """There are no sources; the text says why in one line."""


def run(*command, cwd):
    try:
        done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{command[0]} did not end within {PATIENCE} s") from error
    if done.returncode != 0:
        told = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
        fetches = [line for line in told if "Failed to fetch" in line]
        raise Missing(f"{command[0]}: {(fetches or told[-1:])[0]}")
    return done.stdout


def installed(package):
    """(source package, its version) of an installed binary package"""
    form = "${source:Package} ${source:Version}"
    done = subprocess.run(["dpkg-query", "-W", "-f", form, package], check=False,
                          capture_output=True, text=True)
    if not done.stdout.strip():
        raise Missing(f"package {package} is not installed: apt-get install {package}")
    return done.stdout.split()


def codename():
    with open("/etc/os-release", encoding="utf-8") as file:
        fields = dict(line.strip().split("=", 1) for line in file if "=" in line)
    if fields.get("ID") != "debian" or "VERSION_CODENAME" not in fields:
        raise Missing("the sources are those of Debian, and this is another system")
    return fields["VERSION_CODENAME"]


def compare(left, right):
    older = subprocess.run(["dpkg", "--compare-versions", left, "lt", right], check=False)
    return -1 if older.returncode == 0 else 1


class Archive:
    """Debian's archive, with apt-get's state in a directory of its own."""

    def __init__(self, directory):
        self.directory, self.name = directory, codename()
        for part in ("lists/partial", "cache/archives/partial"):
            os.makedirs(f"{directory}/{part}", exist_ok=True)
        with open(f"{directory}/sources.list", "w", encoding="utf-8") as file:
            file.write(f"deb-src {MIRROR}/debian {self.name} main\n"
                       f"deb-src {MIRROR}/debian {self.name}-updates main\n"
                       f"deb-src {MIRROR}/debian-security {self.name}-security main\n")
        self.options = [f"-oDir::Etc::sourcelist={directory}/sources.list",
                        "-oDir::Etc::sourceparts=-", f"-oDir::State::lists={directory}/lists",
                        f"-oDir::Cache={directory}/cache", "-oAPT::Sandbox::User=root"]

    def apt(self, command, *words):
        return run(command, *self.options, *words, cwd=self.directory)

    def update(self):
        self.apt("apt-get", "-q", "-oAPT::Update::Error-Mode=any", "update")

    def versions(self, source):
        """All versions that the archive lists, the newest first."""
        told = self.apt("apt-cache", "showsrc", source)
        return sorted(set(re.findall(r"^Version: (\S+)$", told, re.M)),
                      key=functools.cmp_to_key(compare), reverse=True)

    def download(self, source, version):
        """Downloads a source package; returns the path of its .dsc."""
        self.apt("apt-get", "-q", "source", "--download-only", f"{source}={version}")
        return f"{self.directory}/{source}_{version.split(':')[-1]}.dsc"


def download(source, wanted, directory):
    """Downloads version `wanted`, or the newest that can be had: (path of the .dsc, version)"""
    archive = Archive(directory)
    archive.update()
    listed = [version for version in archive.versions(source) if version != wanted]
    why = None
    for version in [wanted] + listed:
        try:
            return archive.download(source, version), version
        except Missing as reason:  # listed but not there, as security updates are for a while
            why = why or reason
    raise why


def unpacked(package, build):
    """(directory, version) of the sources of an installed binary package. The version may be
    another one where Debian's archive does not have that of the package."""
    source, wanted = installed(package)
    directory = f"{build}/tests/foreign/sources/{source}_{wanted.split(':')[-1]}"
    ready = glob.glob(f"{directory}/ready_*")
    if ready:
        return f"{directory}/tree", os.path.basename(ready[0]).removeprefix("ready_")
    for tool, its_package in TOOLS.items():
        if not shutil.which(tool):
            raise Missing(f"{tool} is missing: apt-get install {its_package}")
    try:
        os.makedirs(directory, exist_ok=True)
        shutil.rmtree(f"{directory}/tree", ignore_errors=True)
        dsc, version = download(source, wanted, directory)
        # --no-check: apt-get has compared it with the signed list.
        run("dpkg-source", "--no-check", "-x", dsc, f"{directory}/tree", cwd=directory)
        with open(f"{directory}/ready_{version}", "w", encoding="utf-8"):
            pass
    except Missing as reason:
        raise Missing(f"no sources of {source} {wanted}: {reason}") from reason
    except OSError as error:
        raise Missing(f"no sources of {source} {wanted}: {error}") from error
    return f"{directory}/tree", version


def note(package, version):
    """A note to print beside the package's version."""
    _, wanted = installed(package)
    return "" if version == wanted else f" (tests of {version})"
