"""Builds our Dockerfiles by buildah, on base images made here: nothing is pulled."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The base images that FROM may name, and what makes a root like each.
BASES = {
    "docker.io/library/debian:bookworm-slim": ("debian_root", "debian-root"),
    "gcr.io/distroless/cc-debian12:nonroot": ("distroless_root", "distroless-root"),
}
# What a build may copy from the source, as in a user's .dockerignore.
CONTEXT = ["*", "!meson.build", "!meson_options.txt", "!LICENSE", "!include", "!src", "!docs"]


def missing():
    """Why nothing can be built here, or None."""
    if os.geteuid() != 0:
        return "images are built by root"
    for tool in ("buildah", "runc", "mmdebstrap"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return None


class Images:
    """Images below a build directory; use as a context. Unchanged steps are taken from earlier runs."""

    def __init__(self, build):
        self.build = build
        self.containers = []

    def __enter__(self):
        store = f"{self.build}/images"
        os.makedirs(store, exist_ok=True)
        self.lock = open(f"{store}/lock", "w", encoding="ascii")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.options = ["--root", f"{store}/store", "--runroot", f"{store}/run", "--storage-driver", "overlay"]
        with open(f"{store}/ignore", "w", encoding="ascii") as file:
            file.write("\n".join(CONTEXT) + "\n")
        for name, (maker, directory) in BASES.items():
            self.make_base(name, f"{ROOT}/tests/{maker}", f"{self.build}/{directory}")
        return self

    def __exit__(self, *_):
        for container in self.containers:
            with contextlib.suppress(subprocess.CalledProcessError):
                self.buildah("umount", container)
                self.buildah("rm", container)
        self.lock.close()

    def buildah(self, *arguments, timeout=900):
        done = subprocess.run(["buildah", *self.options, *arguments], check=False, capture_output=True,
                              text=True, timeout=timeout)
        if done.returncode != 0:
            raise AssertionError(f"buildah {' '.join(arguments)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout.strip()

    def make_base(self, name, maker, directory):
        subprocess.run([maker, directory], check=True, timeout=900)
        if name in json.dumps(json.loads(self.buildah("images", "--json") or "[]")):
            return
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, directory, "/")
        self.buildah("commit", "--quiet", container, name)
        self.buildah("rm", container)

    def make(self, dockerfile):
        """Builds an image; returns its name."""
        name = "plimsoll-recipe-" + os.path.basename(dockerfile).partition(".")[0]
        self.buildah("bud", "--pull-never", "--isolation", "chroot", "--layers", "--ignorefile",
                     f"{self.build}/images/ignore", "--file", dockerfile, "--tag", name, ROOT)
        return name

    def unpack(self, name):
        """The image's root, as long as the context lasts, and its settings in OCI's form."""
        container = self.buildah("from", "--pull-never", f"localhost/{name}")
        self.containers.append(container)
        settings = json.loads(self.buildah("inspect", "--type", "image", f"localhost/{name}"))
        return self.buildah("mount", container), settings["OCIv1"]["config"]
