"""Finds the smallest limit that each program survives under each allocator. Started by bench/survival."""
import argparse
import hashlib
import os
import signal
import statistics
import sys

import allocators
import live
import machine
import program
import search
import survival_report as report
from results import Results

QUICK = {"programs": ["handover", "phases", "xml_threads"], "allocators": ["jemalloc", "Plimsoll"]}


def chosen(text, known, what):
    if text is None:
        return known
    unknown = [name for name in text.split(",") if name not in known]
    if unknown:
        sys.exit(f"survival: there is no {what} '{unknown[0]}'; there are: {', '.join(known)}")
    return text.split(",")


def limits_of(text):
    """The limits of --at: numbers of MiB or none, separated by commas."""
    wanted = [None if word == "none" else int(word) if word.isdecimal() else 0 for word in text.split(",")]
    if 0 in wanted:
        sys.exit(f"survival: --at wants limits in MiB, or none, with commas; got '{text}'")
    return wanted


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cgroup-version", type=int)
    parser.add_argument("--cgroup-prefix", help="path of the cgroups to make, less their number")
    parser.add_argument("--work", help="directory with the library, for all else that is made")
    parser.add_argument("--version", help="of Plimsoll")
    parser.add_argument("--out", help="directory for the results")
    parser.add_argument("--programs")
    parser.add_argument("--allocators")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--at")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--redo", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--needs", action="store_true", help="print the packages of the chosen programs")
    options = parser.parse_args()
    if options.runs < 1:
        sys.exit("survival: --runs wants a number from 1 on")
    options.at = limits_of(options.at) if options.at is not None else None
    options.programs = chosen(options.programs, QUICK["programs"] if options.quick else program.names(), "program")
    options.allocators = chosen(options.allocators, QUICK["allocators"] if options.quick else allocators.NAMES, "allocator")
    return options


def show_list():
    for name in program.names():
        print(f"{name:14} {program.load(name).title}")
    print(f"\nallocators: {', '.join(allocators.NAMES)}")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


class Survival:
    def __init__(self, options, found):
        self.options, self.found = options, found
        self.results = Results(f"{options.out}/runs.json")

    def run(self, name, measured, allocator, limit):
        """Adds one more run to the results."""
        free = [run["seconds"] for run in search.at(self.results.runs(name, allocator), None)]
        timeout = search.PATIENCE * statistics.median(free) + search.GRACE if free else program.TIMEOUT
        run = program.run_once(measured, self.found[allocator], limit, self.options, timeout)
        self.results.add(name, allocator, run | {"library": digest(self.found[allocator].library)})
        report.progress(f"{name:14} {allocator:14} {report.limit_name(limit):9} {run['outcome']:8} {run['seconds']:6.1f} s, "
                        f"peak {run['peak_mib']:5.0f} MiB {run['problem'] or ''}")
        return run

    def search(self, name, measured, allocator, also=None):
        """Runs until the smallest limit is known, and at the limits that are shown; `also`: one more, in MiB, run once."""
        while True:
            runs = self.results.runs(name, allocator)
            step, limit = search.next_limit(runs, self.options.runs)
            if step == "done":
                if also is None or search.hopeless(runs) or search.at(runs, also):
                    return
                limit = also
            self.run(name, measured, allocator, limit)

    def is_done(self, name):
        also = search.smallest(self.results.runs(name, "Plimsoll"), 1)
        for allocator in self.options.allocators:
            runs = self.results.runs(name, allocator)
            if search.next_limit(runs, self.options.runs)[0] != "done":
                return False
            if also and not search.hopeless(runs) and not search.at(runs, also):
                return False
        return self.results.live(name) is not None

    def measure(self, name):
        if self.is_done(name):
            return
        measured = program.make(name, self.options.work)
        if self.results.live(name) is None:
            mib = live.measure(measured, self.found["jemalloc-tuned"], self.options)
            self.results.set_live(name, mib)
            report.progress(f"{name:14} {mib:.0f} MiB live at its peak")
        for allocator in self.options.allocators:
            self.search(name, measured, allocator)
        also = search.smallest(self.results.runs(name, "Plimsoll"), 1)
        for allocator in self.options.allocators:
            self.search(name, measured, allocator, also)

    def quick(self):
        """Returns whether Plimsoll survived everywhere."""
        well = True
        for name in self.options.programs:
            measured = program.make(name, self.options.work)
            for allocator in self.options.allocators:
                run = self.run(name, measured, allocator, measured.limit_mib)
                well = well and (allocator != "Plimsoll" or search.survived(run))
        return well

    def at(self, limits):
        """Runs every allocator at every limit, in turns."""
        for name in self.options.programs:
            measured = program.make(name, self.options.work)
            for _ in range(self.options.runs):
                for limit in limits:
                    for allocator in self.options.allocators:
                        self.run(name, measured, allocator, limit)


def main():
    options = parse()
    if options.list:
        return show_list()
    if options.needs:
        needed = {package for name in options.programs for package in program.load(name).packages}
        return print(*sorted(needed))
    if options.report:
        return report.write(Results(f"{options.out}/runs.json"), options, aloud=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    allocators.forget_tuning()
    found = allocators.find(f"{options.work}/libplimsoll.so.0", options.version)
    found = {name: found[name] for name in allocators.NAMES}
    facts = machine.describe(options.cgroup_version, found)
    survival = Survival(options, found)
    if options.quick or options.at:
        survival.results = Results(f"{options.work}/runs.json")     # results of its own, which are not kept
        print("\n".join(machine.lines(facts)), flush=True)
    if options.at:
        survival.at(options.at)
        return report.at_limits(survival.results, options)
    if options.quick:
        well = survival.quick()
        print("Plimsoll survived everywhere" if well else "survival: Plimsoll did not survive everywhere")
        return sys.exit(0 if well else 1)
    if options.redo:
        survival.results.forget(options.programs, options.allocators)
    survival.results.set_facts(facts)
    live.build(options.work)
    for name in options.programs:
        survival.measure(name)
        report.write(survival.results, options)
    return report.write(survival.results, options, aloud=True)


main()
