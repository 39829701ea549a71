"""One run of one program of bench/lib/pressure in a cgroup, as plain figures."""
import contextlib
import copy
import os
import subprocess
import time

from cgroup import Group

MIB, SECOND = 1 << 20, 1_000_000_000
SAMPLE_US = 1000
TIMEOUT = 300
STAT = ("ns", "usage", "committed", "active", "reclaim_ns", "cpu_ns", "purged", "purges", "looks", "throttle_ns")
CALL = ("begin", "end", "usage", "soft", "target", "freed")


class Failed(Exception):
    """A program did not do what it should."""


class Quota:
    """A share of CPU time for what is started through it: by a group of its own (v1), or in the memory group (v2)."""

    def __init__(self, options, group, cpus):
        self.version, self.cpus = options.cgroup_version, cpus
        self.path = group.path if self.version == 2 else f"{options.cpu_prefix}.{group.path.rsplit('.', 1)[1]}"

    def __enter__(self):
        period = 100_000
        if self.version == 1:
            os.mkdir(self.path)
            self._write("cpu.cfs_period_us", period)
            self._write("cpu.cfs_quota_us", int(self.cpus * period))
        else:
            self._write("cpu.max", f"{int(self.cpus * period)} {period}")
        return self

    def __exit__(self, *_):
        for _ in range(100 if self.version == 1 else 0):
            with contextlib.suppress(OSError):
                return os.rmdir(self.path)
            time.sleep(0.05)    # the kernel is still removing what ran in it

    def _write(self, name, value):
        with open(f"{self.path}/{name}", "w") as file:
            file.write(str(value))

    def enter(self):
        """Words to put before a command, so that it starts in the group."""
        return ["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.path]


class Samples:
    """The usage of a group, read by a program of its own at a steady beat."""

    def __init__(self, options, group):
        file = f"{group.path}/memory.{'usage_in_bytes' if options.cgroup_version == 1 else 'current'}"
        self.command = [f"{options.work}/sampler", file, str(SAMPLE_US)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        out, _ = self.process.communicate()
        self.all = [tuple(map(int, line.split())) for line in out.splitlines()]


def words(arguments):
    for name, value in arguments.items():
        yield f"--{name.replace('_', '-')}"
        if value is not True:
            yield f"{value:g}"


def run(options, allocator, limit_mib, program, arguments, cpus=None):
    """Returns the program's lines of output and what was seen of its cgroup."""
    with contextlib.ExitStack() as stack:
        group = stack.enter_context(Group(options.cgroup_prefix, options.cgroup_version, limit_mib * MIB))
        command = [*allocator.settings(), f"{options.work}/{program}", *words(arguments)]
        if cpus:
            command = [*stack.enter_context(Quota(options, group, cpus)).enter(), *command]
        with Samples(options, group) as samples:
            start = time.monotonic()
            process = group.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                out, errors = process.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Failed(f"{program} was not done after {TIMEOUT} s") from None
            seconds = time.monotonic() - start
        if group.kills():
            raise Failed(f"{program} in {limit_mib} MiB was OOM-killed under {allocator.name}")
        if process.returncode:
            raise Failed(f"{program} ended with {process.returncode}: {errors.strip()}")
        peak = group.peak() or max(usage for _, usage in samples.all)
    return out.splitlines(), {"limit": limit_mib * MIB, "arguments": arguments, "seconds": seconds, "peak": peak,
                              "peak_mib": peak / MIB, "samples": samples.all}


def fields(lines, word):
    """The numbers of all lines that begin with this word."""
    return [tuple(map(int, line.split()[1:])) for line in lines if line.startswith(word + " ")]


def histograms(lines):
    """For each name the longest duration, and (ns, count) in ascending order."""
    found = {}
    for line in lines:
        word, *rest = line.split()
        if word == "longest":
            found[rest[0]] = {"longest": int(rest[1]), "counts": []}
        elif word == "count":
            found[rest[0]]["counts"].append((int(rest[1]), int(rest[2])))
    return found


def load(options, allocator, limit_mib, **arguments):
    lines, result = run(options, allocator, limit_mib, "load", arguments)
    grown, growing_ns = fields(lines, "grown")[0]
    limits = fields(lines, "limits")
    return result | {
        "soft": limits[0][1] if limits else None,
        "grown": grown, "rate": grown / growing_ns * SECOND,
        "stats": [dict(zip(STAT, values)) for values in fields(lines, "stat")],
        "histograms": histograms(lines),
    }


def callbacks(options, allocator, limit_mib, **arguments):
    lines, result = run(options, allocator, limit_mib, "callbacks", arguments)
    calls = [dict(zip(CALL, values)) for values in fields(lines, "call")]
    if not calls:
        raise Failed("no reclaimer was called")
    live = fields(lines, "live")
    return result | {"calls": calls, "added": fields(lines, "added")[0][0], "soft": calls[0]["soft"],
                     "live_min": live[0][0] if live else None, "live_mean": live[0][1] if live else None}


def phases(options, allocator, **arguments):
    return run(options, allocator, 0, "phases", arguments, cpus=1)[1]


def tuned(allocator, **environment):
    """The same allocator under other settings."""
    other = copy.copy(allocator)
    other.environment = allocator.environment | environment
    return other


def median_by(runs, key):
    return sorted(runs, key=lambda run: run[key])[len(runs) // 2]
