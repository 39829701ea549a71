"""The program that does as it is told (asked.c), under the library."""

import os
import subprocess

from tap import LIBRARY, environment


class Asked:
    """Runs until the end of the with block; `told` sends one order and returns the answer."""

    def __init__(self, program, *before, env=None):
        self.child = subprocess.Popen(
            [*before, program], env=environment({"LD_PRELOAD": LIBRARY, **(env or {})}), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.err = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    @property
    def pid(self):
        return self.child.pid

    def told(self, word, number=0):
        """Returns the number that it answers; None: it has ended."""
        try:
            self.child.stdin.write(f"{word} {number}\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            return None
        answer = self.child.stdout.readline().split()
        return int(answer[1]) if len(answer) == 2 and answer[0] == word else None

    def end(self):
        """Ends it and returns its exit status; its stderr is in `err`."""
        if self.child.stdin:
            try:
                self.child.stdin.close()
            except BrokenPipeError:
                pass
            self.child.stdin = None
        status = self.child.wait(timeout=60)
        if self.child.stderr:
            self.err = self.child.stderr.read()
            self.child.stderr.close()
            self.child.stdout.close()
            self.child.stderr = None
        return status

    def page(self, directory):
        """The path of its stats page."""
        names = [name for name in os.listdir(directory) if name.startswith(f"plimsoll.{self.pid}.")]
        if len(names) != 1:
            raise AssertionError(f"pages: {names}")
        return os.path.join(directory, names[0])
