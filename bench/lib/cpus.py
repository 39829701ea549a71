"""A pool of threads sized by the host and by the quota, and what heeds PLIMSOLL_REPORT. Started by bench/cpus."""
import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys

import allocators
import cpus_who
import machine
import tables
from cgroup import Group
from pressure_run import Quota

MIB = 1 << 20
QUOTAS = [1, 0.5]
REQUEST_MS = 2      # of CPU time
LOAD = 0.7          # of the quota, where requests come at random times
MODELLED = 16       # CPUs of the host that is modelled
REPORTED = {"PLIMSOLL_REPORT": "cpus"}
# What the pool is sized by: threads (0: what libc says), and the environment.
POOLS = {f"{MODELLED}, as a host of {MODELLED} CPUs says": (MODELLED, {}), "as this host says": (0, {}),
         "as PLIMSOLL_REPORT=cpus says": (0, REPORTED)}
MODEL = (f"Modelled: a request is {REQUEST_MS} ms of computing; {MODELLED} threads stand for a host of {MODELLED} CPUs, "
         "but run on the CPUs named above, so that they use up a quota no faster than these allow.")
FAVOUR = {1: ("cpu.shares", 262144), 2: ("cpu.weight", 10000)}    # over neighbours, so that only the quota binds


class Favoured(Quota):
    def __enter__(self):
        super().__enter__()
        self._write(*FAVOUR[self.version])
        return self

    def throttled(self):
        """(periods that ended throttled, all periods in which something ran)"""
        with open(f"{self.path}/cpu.stat") as file:
            values = dict(line.split() for line in file)
        return int(values["nr_throttled"]), int(values["nr_periods"])


@contextlib.contextmanager
def box(options, cpus, memory_mib):
    """Yields a function that runs a command in the group and returns the process; and the quota."""
    with Group(options.cgroup_prefix, options.cgroup_version, memory_mib * MIB) as group:
        with Favoured(options, group, cpus) as quota:
            def start(command, **more):
                return group.start([*quota.enter(), *command], **more)
            yield start, quota
            group.kill_all()


def run_pool(options, cpus, threads, environment, rate):
    command = [*options.plimsoll.settings(), *(f"{name}={value}" for name, value in environment.items()),
               f"{options.work}/pool", "--threads", str(threads), "--spins", str(options.spins * REQUEST_MS),
               "--seconds", str(options.seconds), "--rate", str(rate)]
    with box(options, cpus, 256) as (start, quota):
        out, _ = start(command, stdout=subprocess.PIPE, text=True).communicate(timeout=300)
        throttled, periods = quota.throttled()
    got = {key: float(value) for key, value in (line.split("=") for line in out.splitlines())}
    return got | {"per_second": got["done"] / got["seconds"], "throttled": throttled / max(periods, 1)}


def measure_pools(options):
    """Runs the pools in turns, so that all meet the same neighbours on the machine."""
    results = []
    for cpus in QUOTAS:
        rate = round(LOAD * cpus * 1000 / REQUEST_MS)
        for arriving, per_second in ("16 clients without a pause", 0), (f"{rate} a second at random times", rate):
            runs = {pool: [] for pool in POOLS}
            for _ in range(options.runs):
                for pool, (threads, environment) in POOLS.items():
                    runs[pool].append(run_pool(options, cpus, threads, environment, per_second))
            results.append({"cpus": cpus, "arriving": arriving, "runs": runs})
    return results


def pool_rows(results):
    rows = [["CPUs", "requests", "pool sized", "threads", "requests/s", "p50 ms", "p99 ms", "throttled"]]
    for result in results:
        for pool, runs in result["runs"].items():
            def median(key):
                return statistics.median(run[key] for run in runs)
            rows.append([f"{result['cpus']:g}", result["arriving"], pool, f"{median('threads'):.0f}",
                         f"{median('per_second'):.0f}", f"{median('p50_us') / 1000:.1f}",
                         f"{median('p99_us') / 1000:.1f}", f"{median('throttled') * 100:.0f} %"])
    return rows


def calibrate(options):
    """The highest of 20 results: neighbours only slow it down."""
    told = [subprocess.run([f"{options.work}/pool", "--calibrate"], check=True, capture_output=True, text=True).stdout
            for _ in range(20)]
    return max(map(int, told))


def write(options, facts, name, notes, rows, left, results):
    heading = [*machine.lines(facts), *notes]
    text = "\n".join([*heading, "", tables.text(rows, left), ""])
    print(text, end="")
    for suffix, content in (("txt", text), ("md", "\n\n".join([*heading, tables.markdown(rows, left)]) + "\n"),
                            ("json", json.dumps(facts | {"results": results}, indent=1) + "\n")):
        with open(f"{options.out}/{name}.{suffix}", "w") as file:
            file.write(content)


def parse():
    parser = argparse.ArgumentParser(prog="bench/cpus", usage="see bench/cpus --help")
    parser.add_argument("--who", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--cgroup-version", type=int, required=True)
    parser.add_argument("--cgroup-prefix", required=True, help="path of the cgroups to make, less their number")
    parser.add_argument("--cpu-prefix", required=True, help="the same for the cpu controller")
    parser.add_argument("--work", required=True, help="directory with the library and the programs")
    parser.add_argument("--version", required=True, help="of Plimsoll")
    parser.add_argument("--out", required=True, help="directory for the results")
    options = parser.parse_args()
    if options.runs is None:
        options.runs = 1 if options.quick else 5
    if options.runs < 1:
        parser.error("--runs wants a number from 1 on")
    options.seconds = 1 if options.quick else 3
    return options


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    allocators.forget_tuning()
    options.plimsoll = allocators.Allocator("Plimsoll", options.version, f"{options.work}/libplimsoll.so.0")
    facts = machine.describe(options.cgroup_version, {"Plimsoll": options.plimsoll})
    if options.who:
        results = cpus_who.ask_all(options, box)
        return write(options, facts, "who", cpus_who.NOTES, cpus_who.rows(results), 4, results)
    options.spins = calibrate(options)
    results = measure_pools(options)
    facts["runs"], facts["affinity"] = options.runs, len(os.sched_getaffinity(0))
    notes = [MODEL, f"Runs: {options.runs} of each in turns, {options.seconds} s long, medians shown; latency from a "
             "request's arrival to its end; throttled: share of the quota's periods in which it was used up"]
    return write(options, facts, "results", notes, pool_rows(results), 3, results)


if __name__ == "__main__":
    sys.exit(main())
