"""Runs two programs under every allocator and hands the results to the report. Started by bench/demo."""
import argparse
import signal
import sys

import allocators
import demo_report as report
import machine
import program

PROGRAMS = ["postgres", "phases"]
UNTUNED = ["glibc", "jemalloc", "tcmalloc", "mimalloc", "Plimsoll"]
TUNED = ["glibc-tuned", "jemalloc-tuned", "tcmalloc-tuned", "mimalloc-tuned", "Plimsoll"]
SETTINGS = ["LIMIT=70%", "LIMIT=95%", "PROFILE=relaxed", "PROFILE=tight", "RECLAIM_CPU=1%", "RECLAIM_CPU=50%",
            "ON_LIMIT=none", "THREAD=off", "CPUS=1", "CPUS=8"]


def run_program(name, found, options):
    """First once without a limit, to see what each would use; then the rounds at the limit, allocators in turn."""
    measured = program.make(name, options.work)
    limit = measured.limit_mib
    result = {"name": name, "title": measured.title, "limit_mib": limit, "allocators": {}}
    for allocator in found.values():
        report.progress(f"{measured.title}: {allocator.name}, no limit")
        free = program.run_once(measured, allocator, None, options)
        result["allocators"][allocator.name] = {"free": free, "runs": []}
    for number in range(1, options.runs + 1):
        for allocator in found.values():
            report.progress(f"{measured.title}: {allocator.name}, {limit} MiB, run {number} of {options.runs}")
            run = program.run_once(measured, allocator, limit, options)
            result["allocators"][allocator.name]["runs"].append(run)
    report.progress("")
    return result


def choose(found, options):
    """What is compared: the peers, or Plimsoll with one setting changed at a time."""
    ours = found["Plimsoll"]
    if options.compare == "settings":
        return {"Plimsoll": ours} | {setting: allocators.Allocator(setting, ours.version, ours.library,
                                                                   dict([f"PLIMSOLL_{setting}".split("=", 1)]))
                                     for setting in SETTINGS}
    return {name: found[name] for name in (TUNED if options.compare == "tuned" else UNTUNED)}


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--compare", choices=["untuned", "tuned", "settings"], default="untuned")
    parser.add_argument("--cgroup-version", type=int, required=True)
    parser.add_argument("--cgroup-prefix", required=True, help="path of the cgroups to make, less their number")
    parser.add_argument("--work", required=True, help="directory with the library")
    parser.add_argument("--version", required=True, help="of Plimsoll")
    parser.add_argument("--out", required=True, help="directory for the results")
    return parser.parse_args()


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    allocators.forget_tuning()
    found = allocators.find(f"{options.work}/libplimsoll.so.0", options.version)
    found = choose(found, options)
    facts = machine.describe(options.cgroup_version, found) | {"runs": options.runs}
    report.introduce(facts)
    report.write(facts, [run_program(name, found, options) for name in PROGRAMS], options.out)


main()
