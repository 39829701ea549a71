"""Runs the workloads under every allocator and hands the results to the report. Started by bench/demo."""
import argparse
import os
import signal
import subprocess
import sys

import report
from cgroup import Group, Sampler
from workloads import Phases, Postgres

MIB = 1 << 20
TUNING = ("MALLOC_", "GLIBC_TUNABLES", "TCMALLOC_", "MIMALLOC_", "PLIMSOLL", "LD_PRELOAD", "PG")   # in the environment
PEERS = [("glibc", "libc6", None), ("jemalloc", "libjemalloc2", "libjemalloc.so.2"),
         ("tcmalloc", "libtcmalloc-minimal4", "libtcmalloc_minimal.so.4"),
         ("mimalloc", "libmimalloc2.0", "libmimalloc.so.2")]


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def find_allocators(library, version):
    """Maps a name to the version and the library to preload (none for glibc)."""
    found = {}
    for name, package, soname in PEERS:
        files = output("dpkg-query", "-L", package).split() if soname else []
        path = next((file for file in files if file.endswith("/" + soname)), None)
        found[name] = {"version": output("dpkg-query", "-W", "-f", "${Version}", package), "library": path}
    found["Plimsoll"] = {"version": version, "library": library}
    return found


def run_once(workload, allocator, limit, options):
    """One run in a cgroup of its own; limit in bytes, 0 for none."""
    with Group(options.cgroup_prefix, options.cgroup_version, limit) as group:
        workload.prepare()
        with Sampler(group, allocator["library"]) as sampler:
            problem = workload.run(group, allocator["library"])
        peak = group.peak() or max(usage for _, usage in sampler.samples)
    if not sampler.loaded:
        sys.exit(f"demo: {allocator['library']} was not loaded into {workload.name}: {problem}")
    outcome = "killed" if sampler.killed_at is not None else "failed" if problem else "survived"
    return {"outcome": outcome, "problem": problem, "killed_at": sampler.killed_at, "peak_mib": peak / MIB,
            "seconds": sampler.seconds,
            "samples": [(round(t, 3), round(usage / MIB, 2)) for t, usage in sampler.samples]}


def run_workload(workload, allocators, options):
    """First once without a limit, to see what each would use; then the rounds at the limit, allocators in turn."""
    result = {"name": workload.name, "title": workload.title, "limit_mib": workload.limit_mib, "allocators": {}}
    for name, allocator in allocators.items():
        report.progress(f"{workload.title}: {name}, no limit")
        result["allocators"][name] = {"free": run_once(workload, allocator, 0, options), "runs": []}
    for number in range(1, options.runs + 1):
        for name, allocator in allocators.items():
            report.progress(f"{workload.title}: {name}, {workload.limit_mib} MiB, run {number} of {options.runs}")
            run = run_once(workload, allocator, workload.limit_mib * MIB, options)
            result["allocators"][name]["runs"].append(run)
    report.progress("")
    return result


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--cgroup-version", type=int, required=True)
    parser.add_argument("--cgroup-prefix", required=True, help="path of the cgroups to make, less their number")
    parser.add_argument("--work", required=True, help="directory with the library and the program phases")
    parser.add_argument("--version", required=True, help="of Plimsoll")
    parser.add_argument("--out", required=True, help="directory for the results")
    return parser.parse_args()


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    for name in [name for name in os.environ if name.startswith(TUNING)]:
        del os.environ[name]
    allocators = find_allocators(f"{options.work}/libplimsoll.so.0", options.version)
    facts = report.describe(allocators, options)
    report.introduce(facts)
    results = [run_workload(make(options.work), allocators, options) for make in (Postgres, Phases)]
    report.write(facts, results, options.out)


main()
