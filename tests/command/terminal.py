"""plimsoll top in a terminal: in a tmux window of its own."""

import os
import re
import shutil
import subprocess
import time

from tap import COMMAND, Skip

PATIENCE = 60


class Terminal:
    """plimsoll top in a window of that size; use as a context."""

    count = 0

    def __init__(self, where, *args, width=200, height=24, term="xterm-256color"):
        if not shutil.which("tmux"):
            raise Skip("tmux is not installed")
        self.where, self.args, self.size = where, args, (width, height)
        Terminal.count += 1
        self.socket = f"{where}/tmux{Terminal.count}"  # not that of a server that is ending
        self.term = term

    def tmux(self, *args):
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        env.pop("TMUX", None)
        done = subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *args], check=True,
                              env=env, stdout=subprocess.PIPE, text=True, timeout=60)
        return done.stdout

    def __enter__(self):
        top = ["env", f"PLIMSOLL_STATS={self.where}", f"TERM={self.term}", COMMAND, "top",
               "--interval", "200", *self.args]
        # Once top has ended, the screen keeps what it left there, and tells that it ended.
        self.tmux("new-session", "-d", "-x", str(self.size[0]), "-y", str(self.size[1]), "--",
                  "sh", "-c", '"$@"; echo "ended with $?"; exec sleep 1000', "sh", *top)
        return self

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def wait_for(self, is_so, what):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            screen = self.screen()
            if is_so(screen):
                return screen
            time.sleep(0.1)
        raise AssertionError(f"not seen: {what}\n{screen}")

    def shows(self, *texts):
        """Waits for a screen with all these texts: one that is still being drawn may lack some."""
        return self.wait_for(lambda screen: all(text in screen for text in texts), texts)

    def pids(self, screen=None):
        """The pids of the rows, from top to bottom."""
        return [int(pid) for pid in re.findall(r"^ *(\d+) ", screen or self.screen(), re.M)]

    def shows_order(self, *pids):
        return self.wait_for(lambda screen: [pid for pid in self.pids(screen) if pid in pids]
                             == list(pids), f"order {pids}")

    def __exit__(self, *_):
        self.tmux("kill-server")
