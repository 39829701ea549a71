"""The soak program and what is done to it while it runs."""

import contextlib
import os
import random
import select
import subprocess
import time

from group import MIB

PATIENCE_SECONDS = 300  # for an answer, with a tenth of a CPU on a loaded machine
RANGES, MIXED_LARGE = 7, 5
LOWEST, HIGHEST = 96 * MIB, 400 * MIB
# No limit is set below usage times this. Allocating threads read the limit again before they have
# committed a sixteenth of the heap more; this leaves twice as much room.
ROOM = 1 + 1 / 8


def smaps_anonymous(pid):
    """Bytes of anonymous memory in mappings without a name: the heap, and threads' stacks."""
    total, nameless = 0, False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as lines:
        for line in lines:
            fields = line.split()
            if "-" in fields[0] and not fields[0].endswith(":"):
                nameless = len(fields) == 5
            elif nameless and fields[0] == "Anonymous:":
                total += int(fields[1]) << 10
    return total


class Ended(Exception):
    """The program did not answer, or is gone."""


class Soak:
    """Use as a context."""

    def __init__(self, args, group, file, figures):
        self.group, self.file, self.figures = group, file, figures
        self.library = None if args.plain else f"{args.build}/src/libplimsoll.so"
        self.program = os.path.abspath(f"{args.build}/tests/soak/soak_program")
        self.beside = os.path.abspath(f"{args.build}/tests/soak/soak_beside")
        for needed in self.library, self.program, self.beside:
            if needed and not os.path.exists(needed):
                raise SystemExit(f"tests/soak/run: {needed} is not there: build first")
        self.random, self.threads = random.Random(args.seed), args.threads
        self.worst, self.highest = args.worst, LOWEST if args.worst else HIGHEST
        self.process, self.others, self.moved, self.what = None, [], 0, "before the first phase"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, exception, *_):
        self.end_others()
        status = self.end_program()
        if exception is None and status != int(self.figures.last["wrong"] > 0):
            self.figures.died("at its end", status)

    # --- the program ---

    def start(self):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("PLIMSOLL", "MALLOC", "LD_PRELOAD", "GLIBC_TUNABLES"))}
        preload = [f"LD_PRELOAD={os.path.abspath(self.library)}"] if self.library else []
        self.process = self.group.start("env", *preload, self.program, env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.figures.started()

    def end_program(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            status = self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        return status

    def ask(self, command, *answers):
        """Sends a command; returns the figures of the lines that answer it."""
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Ended(f"gone before: {command}") from error
        return [self.answer(command, name) for name in answers]

    def answer(self, command, name):
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_SECONDS)
        line = self.process.stdout.readline() if ready else None
        if line is None:
            self.process.kill()
            raise Ended(f"no answer for {PATIENCE_SECONDS} s to: {command}")
        words = line.split()
        if words[:1] != [name]:
            raise Ended(f"gone, or a wrong answer to: {command}: {line!r}")
        return {key: int(value) for key, value in (word.split("=") for word in words[1:])}

    # --- beside it ---

    def start_others(self, lowest):
        kinds = [("cache", self.file), ("tmpfs", "/dev/shm", str(max(1, lowest // 25 // MIB))),
                 ("busy",), ("busy",)]
        for kind in kinds:
            wanted = kind[0] != "busy" if self.worst else self.random.random() < 0.5
            if wanted:
                self.others.append(self.group.start(self.beside, *kind))
                self.figures.beside[kind[0]] += 1

    def end_others(self):
        for process in self.others:
            process.kill()
            process.wait()
        self.others.clear()

    # --- the limit ---

    def move_limit(self, target):
        """Raises the limit to `target`, or lowers it towards that as far as usage allows."""
        if self.process.poll() is not None:
            raise Ended("gone")
        lowest = int(self.group.usage() * ROOM)
        if target < self.group.limit:
            target = min(max(target, lowest), self.group.limit)
        self.figures.limit_moved(self.group.limit, target, self.group.set_limit(target))
        self.moved = time.monotonic()

    # --- one phase ---

    def choose(self):
        """Returns (lowest limit, words of the command, CPU quota in percent of one CPU)"""
        pick = self.random
        if self.worst:
            words = [4, min(4, self.threads), 1, LOWEST // 6, HIGHEST, 0, pick.randrange(1 << 30)]
            return LOWEST, words, 100
        lowest = pick.randrange(LOWEST, HIGHEST * 2 // 3)
        threads = min(pick.choice((1, 2, 4, 8, 16)), self.threads)
        sizes = pick.randrange(RANGES)
        if sizes == MIXED_LARGE:  # each thread handles up to two blocks of 4 MiB at a time
            threads = min(threads, 2)
        own = int(lowest * pick.uniform(0.1, 0.4))
        seconds = pick.uniform(2, 8)
        shared, forks = HIGHEST, pick.randrange(2)
        if forks:  # parent and child may each have a copy of the same blocks for a while
            own, shared = own // 2, int(lowest * 0.1)
        words = [seconds, threads, sizes, own, shared, forks, pick.randrange(1 << 30)]
        return lowest, words, pick.choice((None, None, 100, 50, 20, 10))

    def phase(self):
        try:
            self.try_phase()
        except Ended as why:
            self.end_others()
            ago = time.monotonic() - self.moved
            self.figures.died(f"{why}; {self.what}; {ago:.1f} s after the limit was set to "
                              f"{self.group.limit}", self.end_program())
            self.group.set_quota(None)
            self.start()
        self.figures.kills = self.group.read(
            "memory.oom_control" if self.group.version == 1 else "memory.events", "oom_kill")

    def try_phase(self):
        pick = self.random
        lowest, words, quota = self.choose()
        self.group.set_quota(None)
        self.move_limit(max(lowest, min(self.group.limit, self.highest) if pick.randrange(2) else 0))
        self.start_others(lowest)
        self.what = (f"{words[1]} threads, sizes {words[2]}, own {words[3]}, forks {words[5]}, quota "
                     f"{quota}, {len(self.others)} beside, lowest limit {lowest}")
        self.ask("phase " + " ".join(map(str, words)), "begun")
        self.group.set_quota(quota)
        ends = time.monotonic() + words[0]
        while time.monotonic() < ends - 0.5:
            time.sleep(pick.uniform(0.1, 0.5))
            self.move_limit(pick.randrange(lowest, self.highest + 1))
            if quota and not self.worst and pick.randrange(3) == 0:
                self.group.set_quota(pick.choice((10, 30, 80)))
        self.park()
        ended, quiet = self.ask("end", "ended", "quiet")
        classes, = self.ask("classes", "classes")
        self.end_others()
        self.figures.phase_ended(quota is not None, ended, quiet, classes)

    def park(self):
        """Everything stands still, so that the kernel's count and ours can be compared."""
        before, = self.ask("park", "full")
        anonymous = smaps_anonymous(self.process.pid)
        after, = self.ask("go", "went_on")
        if self.library:
            self.figures.compared(anonymous, before, after)
