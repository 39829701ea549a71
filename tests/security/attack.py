"""What the tests of attacks share: other users, and things put in the way of a process.

Command and library are copied to where every user may read them, before tap looks for them."""

import atexit
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "command"))

PUBLIC = tempfile.mkdtemp(prefix="plim_security_")
atexit.register(shutil.rmtree, PUBLIC, True)
os.chmod(PUBLIC, 0o755)
for at, name in ((1, "plimsoll"), (2, "libplimsoll.so.0")):
    sys.argv[at] = shutil.copy(os.path.realpath(sys.argv[at]), f"{PUBLIC}/{name}")
    os.chmod(sys.argv[at], 0o755)

# pylint: disable=wrong-import-position,unused-import
from processes import PYTHON, Process, directory, own_pages, pages, start_time
from tap import COMMAND, LIBRARY, Skip, Tap, environment, equal, holds, plimsoll

NOBODY, OTHER = 65534, 65533
PID_MAX = 2147483647  # no process has it


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def as_user(uid, code, *args, **more):
    """Runs Python as that user, to its end; returns what it printed."""
    done = subprocess.run([PYTHON, "-c", code, *map(str, args)], user=uid, group=uid,
                          extra_groups=[], check=False, text=True, timeout=60, cwd="/",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **more)
    equal(done.returncode, 0, done.stdout)
    return done.stdout


def write(path, content, uid=0, mode=0o600):
    with open(path, "wb") as file:
        file.write(content)
    os.chown(path, uid, uid)
    os.chmod(path, mode)
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


# Tries everything on another user's file; prints what succeeded.
TRY = """
import os, sys
path, own = sys.argv[1:]
open(own, "w").close()
for name, act in {
    "read": lambda: os.open(path, os.O_RDONLY),
    "write": lambda: os.open(path, os.O_RDWR),
    "truncate": lambda: os.truncate(path, 0),
    "chmod": lambda: os.chmod(path, 0o666),
    "chown": lambda: os.chown(path, os.getuid(), -1),
    "unlink": lambda: os.unlink(path),
    "rename": lambda: os.rename(path, own + ".2"),
    "replace": lambda: os.replace(own, path),
}.items():
    try:
        act()
        print(name)
    except PermissionError:
        pass
"""


def page_of(process, where):
    path, = pages(where, process.pid)
    return path


def shown(where, **more):
    """The pids of the pages in this directory, as status shows them in JSON."""
    got = plimsoll("status", "--json", env={"PLIMSOLL_STATS": where}, **more)
    equal((got.returncode, got.stderr), (0, ""))
    return [p["pid"] for p in json.loads(got.stdout)["processes"]
            if p["page"].startswith(where + "/")]
