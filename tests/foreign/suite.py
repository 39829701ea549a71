"""What a suite is: its cases, how each is run, and which package it belongs to."""

import subprocess

from readers import READERS


class Case:
    """read_from: which of READERS understands its output."""

    def __init__(self, name, words, read_from, env=None, timeout=300):
        self.name, self.words, self.read_from = name, words, read_from
        self.env, self.timeout = env or {}, timeout

    def command(self, work):
        return [word.replace("@WORK@", work) for word in self.words]

    def read(self, text, work):
        return READERS[self.read_from](text, work)


class Suite:
    """note: printed after the version. Where there are no cases, `missing` says why."""

    def __init__(self, name, package, cases, note="", missing=None):
        self.name, self.package, self.cases = name, package, cases
        self.version = (version(package) if package else "own") + note
        self.missing = missing or f"package {package} is not installed"


def version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], check=False,
                          capture_output=True, text=True)
    return done.stdout or "not installed"
