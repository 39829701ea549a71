"""Runs a command in a session and terminal of its own; the test holds the terminal's other end."""

import os
import pty
import select
import signal
import sys
import time
import traceback

from tap import environment

PATIENCE = 60


class Session:
    """The command leads the session, or else the function `leader` does. The standard output is a
    pipe. Use as a context."""

    def __init__(self, *command, leader=None):
        here, there = os.pipe()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            self.lead(command, leader, there)
        os.close(there)
        self.out = os.fdopen(here, "rb", buffering=0)   # unbuffered: select() must see all there is
        self.plimsoll = self.pid    # a test may set another pid

    @staticmethod
    def lead(command, leader, out):
        try:
            for number in signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
            os.dup2(out, 1)
            os.close(out)
            if leader is None:
                os.execvpe(command[0], command, environment({}))
            leader(*command)
            os._exit(0)
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc(file=sys.stdout)
            os._exit(1)

    def __enter__(self):
        return self

    def line(self):
        if not select.select([self.out], [], [], PATIENCE)[0]:
            raise AssertionError("nothing is printed")
        return self.out.readline().decode()

    def wait_for(self, line):
        while (got := self.line()).strip() != line:
            if not got:
                raise AssertionError(f"ended before {line!r}")

    def rest(self):
        """All lines, until everything that could print more has ended."""
        lines = []
        while got := self.line():
            lines.append(got)
        return lines

    def type(self, keys):
        os.write(self.master, keys.encode())

    def hang_up(self):
        os.close(self.master)
        self.master = None

    def wait(self):
        """The leader's exit code."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        raise AssertionError("it does not end")

    def __exit__(self, *_):
        if self.master is not None:
            self.hang_up()
        if self.pid is not None:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.out.close()
