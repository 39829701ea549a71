"""Reads the captured cgroup trees of tests/fixtures/cgroup-cases."""

import os
import pathlib

DIRECTORY = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "cgroup-cases"


class Case:
    """A case: `expect` and `tree`, each by state, which is "" or ".after"."""

    def __init__(self, path):
        self.name = path.name.removesuffix(".case")
        self.expect = {"": {}, ".after": {}}
        self.trees = {"": {}, ".after": {}}
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
        at = None
        for line in lines[:-1] if lines[-1] == "" else lines:
            if line.startswith("@@ "):
                at = self._section(line[3:])
            elif at is not None:
                at(line)

    def _section(self, head):
        kind, _, rest = head.partition(" ")
        kind, _, after = kind.partition(".")
        state = "." + after if after else ""
        if kind == "expect":
            def add_expect(line):
                key, _, value = line.partition("=")
                self.expect[state][key] = value
            return add_expect
        what, _, path = rest.partition(" ")
        no_newline = path.startswith("nonl ")
        path = path.removeprefix("nonl ")
        if what == "dir":
            self.trees[state][path] = None
            return None
        self.trees[state][path] = ""

        def add_line(line):
            text = self.trees[state][path]
            if no_newline:
                self.trees[state][path] = text + ("\n" if text else "") + line
            else:
                self.trees[state][path] = text + line + "\n"
        return add_line

    def states(self):
        return [state for state in ("", ".after") if self.expect[state]]

    def unpack(self, state, directory):
        for path, text in self.trees[state].items():
            target = directory + path
            if text is None:
                os.makedirs(target, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)


def load():
    return [Case(path) for path in sorted(DIRECTORY.glob("*.case"))]
