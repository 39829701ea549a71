"""Runs the programs of bench/pressure in cgroups and hands what they saw to the report. Started by bench/pressure."""
import argparse
import os
import signal
import sys

import allocators
import machine
import pressure_report
from pressure_run import Failed, callbacks, load, median_by, phases, tuned

LIMIT_MIB = 1024
LIVE = 0.72         # of the hard limit: the size of one set of load.c; 80 % of the soft limit
RATES = [128, 256, 512, 1024, 2048, 4096]                       # MiB a second
THREADS = [1, 2, 4, 8, 16]                                      # that grow at the same time
LIMITS = [64, 128, 256, 512, 1024, 2048, 4096, 8192]            # MiB


def at_limit(options, limit_mib=LIMIT_MIB, live=LIVE, **arguments):
    return load(options, options.found["Plimsoll"], limit_mib, set_mib=limit_mib * live, **arguments)


def overshoot(options):
    seconds = 3 if options.quick else 10
    runs = [at_limit(options, seconds=seconds) for _ in range(options.runs)]
    return {"limit_mib": LIMIT_MIB, "live_mib": LIMIT_MIB * LIVE, "runs": runs}


def stalls(options):
    """Runs the allocators in turns, so that all meet the same neighbours on the machine."""
    seconds = 1.5 if options.quick else 10
    jemalloc, plimsoll = options.found["jemalloc"], options.found["Plimsoll"]
    shared = tuned(jemalloc, MALLOC_CONF=f"narenas:{len(os.sched_getaffinity(0))}")
    kinds = {"jemalloc, no limit": (jemalloc, 0), "jemalloc, an arena a CPU, no limit": (shared, 0),
             "Plimsoll, no limit": (plimsoll, 0), "Plimsoll, at the limit": (plimsoll, LIMIT_MIB)}
    runs = {kind: [] for kind in kinds}
    for _ in range(options.runs):
        for kind, (allocator, limit) in kinds.items():
            runs[kind].append(load(options, allocator, limit, set_mib=LIMIT_MIB * LIVE, seconds=seconds, probe=True))
    return runs


def cpu(options):
    far, near = (2, 4) if options.quick else (10, 30)
    return {"far from the limit": at_limit(options, live=0.2, seconds=far),
            "at the limit, 256 MiB/s": at_limit(options, seconds=near, rate_mib=256),
            "at the limit, 1 GiB/s": at_limit(options, seconds=near)}


def called_back(options):
    plimsoll, crossings = options.found["Plimsoll"], 2 if options.quick else 20
    return {
        "crossings": {rate: callbacks(options, plimsoll, LIMIT_MIB, rate_mib=rate, crossings=crossings)
                      for rate in ([1024] if options.quick else [256, 1024])},
        "steady": {rate: callbacks(options, plimsoll, LIMIT_MIB, rate_mib=rate, seconds=4 if options.quick else 10)
                   for rate in ([256] if options.quick else [64, 256, 1024])},
    }


def available_mib():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:")) >> 10


def costs(options):
    """One thing varies, the others stay at 1 GiB/s, 2 growing threads, 1 GiB."""
    step = 3 if options.quick else 1
    seconds = 1.5 if options.quick else 6
    limits = [limit for limit in LIMITS[:5 if options.quick else None] if limit < available_mib() * 0.6]
    fixed = {"threads": 2, "seconds": seconds, "turns": 4, "probe": True}     # the first two turns fill the memory
    return {
        "rate": {rate: at_limit(options, **fixed, rate_mib=rate) for rate in RATES[::step]},
        "threads": {n: at_limit(options, **fixed | {"threads": n}) for n in THREADS[::step]},
        "limit": {limit: at_limit(options, limit, **fixed) for limit in limits[::step]},
    }


def quota(options):
    """A program that may use one CPU's worth of a large machine, where the defaults are four arenas for each CPU
    of the machine under jemalloc, eight under glibc."""
    jemalloc, glibc = options.found["jemalloc"], options.found["glibc"]
    kinds = {
        "glibc, as on 64 CPUs": tuned(glibc, GLIBC_TUNABLES="glibc.malloc.arena_max=512"),
        "jemalloc, as on 64 CPUs": tuned(jemalloc, MALLOC_CONF="narenas:256"),
        "jemalloc, one arena": tuned(jemalloc, MALLOC_CONF="narenas:1"),
        "Plimsoll": options.found["Plimsoll"],
    }
    runs = {kind: [] for kind in kinds}
    for _ in range(options.runs):
        for kind, allocator in kinds.items():
            runs[kind].append(phases(options, allocator, threads=16, live_mib=128 if options.quick else 256,
                                     rounds=6 if options.quick else 12))
    return {kind: median_by(same, "seconds") | {"peak_mib": median_by(same, "peak_mib")["peak_mib"]}
            for kind, same in runs.items()}


PARTS = {"overshoot": overshoot, "stalls": stalls, "cpu": cpu, "callbacks": called_back, "costs": costs,
         "quota": quota}


def parse():
    parser = argparse.ArgumentParser(prog="bench/pressure", usage="see bench/pressure --help")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--runs", type=int)
    parser.add_argument("--cgroup-version", type=int, required=True)
    parser.add_argument("--cgroup-prefix", required=True, help="path of the cgroups to make, less their number")
    parser.add_argument("--cpu-prefix", help="the same for the cpu controller; absent: there is none")
    parser.add_argument("--work", required=True, help="directory with the library and the programs")
    parser.add_argument("--version", required=True, help="of Plimsoll")
    parser.add_argument("--out", required=True, help="directory for the results")
    options = parser.parse_args()
    options.runs = options.runs or (1 if options.quick else 3)
    options.only = options.only.split(",")
    for part in options.only:
        if part not in PARTS:
            parser.error(f"--only: no part '{part}'; there are {', '.join(PARTS)}")
    if options.runs < 1:
        parser.error("--runs wants a number from 1 on")
    if options.cpu_prefix is None and "quota" in options.only:
        print("quota is left out: there is no cpu controller", file=sys.stderr)
        options.only.remove("quota")
    return options


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    allocators.forget_tuning()
    options.found = allocators.find(f"{options.work}/libplimsoll.so.0", options.version)
    facts = machine.describe(options.cgroup_version, {name: options.found[name] for name in ("glibc", "jemalloc",
                                                                                             "Plimsoll")})
    facts["runs"] = options.runs
    print("\n".join(machine.lines(facts)), flush=True)
    results, failed = {}, {}
    for part in options.only:
        print(f"Measuring {part}", flush=True)
        try:
            results[part] = PARTS[part](options)
        except Failed as failure:
            failed[part] = str(failure)
    return pressure_report.write(facts, results, failed, options.out)


if __name__ == "__main__":
    sys.exit(main())
