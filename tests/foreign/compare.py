"""Runs the cases of a suite each way and compares what their tests say."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                             "programs"))
from box import Box  # pylint: disable=wrong-import-position
from setting import Setting  # pylint: disable=wrong-import-position
from tap import Skip  # pylint: disable=wrong-import-position

WAYS = ("plain", "preloaded", "boxed")
AGAIN = 2  # more runs of a case that differs
AT_ONCE = 2
MIB = 1 << 20
NO_LIMIT_MIB = 8 << 10  # a program that runs wild must not take the machine with it


def near(peak):
    """MiB of a cgroup in which a program just fits if it needed `peak` bytes with the C library's
    malloc. Never below 64 MiB: there the library logs that there is little room,
    which a test may read."""
    return max(64, peak * 11 // 10 // MIB + 12)


def run_in(case, library, box):
    with Setting(library, box, case.env) as setting:
        command = case.command(setting.work)
        if library:  # a case may preload something itself
            command = [word + ":" + library if word.startswith("LD_PRELOAD=") else word
                       for word in command]
        setting.env = {"XDG_RUNTIME_DIR": setting.work, "TMPDIR": setting.work, **setting.env}
        with open(f"{setting.work}/.output", "w+b") as output:
            process = setting.start(*command, stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=subprocess.STDOUT, start_new_session=True)
            try:
                status = process.wait(case.timeout)
            except subprocess.TimeoutExpired:
                status = "timeout"
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            output.seek(0)
            text = output.read().decode(errors="replace")
        results = case.read(text, setting.work)
    # 77: skipped, by convention.
    if library and "cannot be preloaded" in text:
        results["preloading"] = "failed: ld.so refused the library"
    results["exit"] = {0: "passed", 77: "skipped"}.get(status, f"failed with {status}")
    return results


class Run:
    """A run of one case. results: {test: "passed", "skipped" or "failed"}; the program's own end is
    the test "exit". Always in a cgroup, to know the peak; mib None: without one."""

    def __init__(self, case, library, mib):
        began = time.monotonic()
        self.peak, self.mib = 0, mib
        if mib is None:
            self.results = run_in(case, library, None)
        else:
            with Box(mib, f"{id(self)}") as box:
                self.results = run_in(case, library, box)
                self.peak = box.peak()
                if box.kills():
                    self.results["killed by the kernel"] = f"failed {box.kills()} times"
        self.seconds = time.monotonic() - began


class Result:
    """The results of one suite."""

    def __init__(self, suite):
        self.suite, self.missing = suite, None
        self.skipped = {}
        self.counts = {way: Counter() for way in WAYS}
        self.failed = {way: set() for way in WAYS}
        self.differences = {way: [] for way in WAYS}
        self.unstable = {way: [] for way in WAYS}
        self.seconds = Counter()
        self.limits, self.boxed, self.slowest = [], [], []

    def note(self, way, case, results):
        for test, what in results.items():
            kind = what.split()[0]
            self.counts[way][kind] += 1
            if kind == "failed":
                self.failed[way].add(f"{case.name}: {test}: {what}")

    def judged(self, way):
        """What is wrong, a line each."""
        nothing = [] if self.counts["plain"]["passed"] else ["nothing passes without it either"]
        return nothing + self.differences[way]

    def rows(self, way):
        counts, plain = self.counts[way], self.counts["plain"]
        yield (f"{self.suite.name} {self.suite.version}: {way}: {len(self.suite.cases)} programs, "
               f"{sum(counts.values())} tests, {counts['failed']} failed ({plain['failed']} plain), "
               f"{counts['skipped']} skipped, {len(self.differences[way])} differences, "
               f"{len(self.unstable[way])} unstable, {self.seconds[way]:.0f} s")
        if way == "boxed":
            full = sum(run.peak * 10 >= limit * 9 * MIB
                       for run, limit in zip(self.boxed, self.limits))
            yield (f"  limits of {min(self.limits)} to {max(self.limits)} MiB; {full} programs came "
                   "within a tenth of theirs")
        yield from (f"  DIFFERS {line}" for line in self.differences[way])
        yield from (f"  unstable {line}" for line in self.unstable[way])

    def text(self):
        if self.missing:
            return [f"{self.suite.name}: {self.missing}"]
        lines = [line for way in WAYS if way not in self.skipped for line in self.rows(way)]
        return (lines + [f"  {way}: {why}" for way, why in self.skipped.items()] +
                [f"  fails plain: {line}" for line in sorted(self.failed["plain"])])

    def summary(self):
        return {"suite": self.suite.name, "version": self.suite.version, "missing": self.missing,
                "programs": len(self.suite.cases), "limits_mib": self.limits,
                "peaks_bytes": [run.peak for run in self.boxed],
                "slowest": self.slowest[:10],
                **{way: {**self.counts[way], "seconds": round(self.seconds[way], 1),
                         "failures": sorted(self.failed[way]), "unstable": self.unstable[way],
                         "differences": self.differences[way]}
                   for way in WAYS if way not in self.skipped}}


def differ(plain, other):
    return sorted(test for test in plain.keys() | other.keys()
                  if plain.get(test) != other.get(test))


def settle(case, plain, other, library):
    """Two of {test: (seen plain, seen the other way)}: tests that never agreed, and that once did."""
    seen = [[plain.results], [other.results]]
    for _ in range(AGAIN):
        seen[0].append(Run(case, None, plain.mib).results)
        seen[1].append(Run(case, library, other.mib).results)
    never, once = {}, {}
    for test in differ(plain.results, other.results):
        values = [{results.get(test, "missing") for results in runs} for runs in seen]
        (once if values[0] & values[1] else never)[test] = values
    return never, once


def run_way(result, way, args, plain, limits):
    """Returns the runs, one for each case; limits: MiB or None for each case."""
    library = None if way == "plain" else args.library
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = list(pool.map(lambda case, mib: Run(case, library, mib), result.suite.cases, limits))
    for number, (case, run) in enumerate(zip(result.suite.cases, runs)):
        result.note(way, case, run.results)
        if plain is None or plain[number].results == run.results:
            continue
        never, once = settle(case, plain[number], run, library)
        for tests, into in ((never, result.differences), (once, result.unstable)):
            into[way] += [f"{case.name}: {test}: plain {sorted(values[0])}, {way} "
                          f"{sorted(values[1])}" for test, values in tests.items()]
    result.seconds[way] = time.monotonic() - began
    return runs


def may_make_boxes():
    """None if cgroups can be made, or why not."""
    try:
        with Box(NO_LIMIT_MIB):
            return None
    except Skip as reason:
        return str(reason)


def run_suite(make_suite, args):
    suite = make_suite(args)
    result = Result(suite)
    if not suite.cases:
        result.missing = suite.missing
        return result
    no_boxes = may_make_boxes()
    anything = [None if no_boxes else NO_LIMIT_MIB] * len(suite.cases)
    plain = run_way(result, "plain", args, None, anything)
    run_way(result, "preloaded", args, plain, anything)
    if no_boxes:
        result.skipped["boxed"] = no_boxes
    else:
        result.limits = [near(run.peak) for run in plain]
        result.boxed = run_way(result, "boxed", args, plain, result.limits)
    result.slowest = sorted(((run.seconds, case.name) for case, run in zip(suite.cases, plain)),
                            reverse=True)
    return result
