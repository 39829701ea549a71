"""Runs the process of an image in a container, as Docker and Kubernetes do."""

import os
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import runc  # pylint: disable=wrong-import-position
from waiting import wait_until  # pylint: disable=wrong-import-position,unused-import


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


class Container(runc.Container):
    """root and settings: an image's; env and mounts are added. pid_of: a process whose pid namespace it shares.
    It uses the machine's network, where its clients are."""

    def __init__(self, root, settings, *arguments, env=None, mounts=(), pid_of=None, **limits):
        share = {"network": None, **({"pid": f"/proc/{pid_of}/ns/pid"} if pid_of is not None else {})}
        scratch = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777", "size=8m"]}
        super().__init__(
            root, [*(settings.get("Entrypoint") or []), *(arguments or settings.get("Cmd") or [])],
            ids=ids_of(root, settings.get("User", "")), cwd=settings.get("WorkingDir") or "/", readonly=True,
            env={**dict(item.split("=", 1) for item in settings.get("Env") or []), **(env or {})},
            mounts=[scratch, *mounts], share=share, **limits)
