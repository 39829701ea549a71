"""What a result has to say about where and when it was measured."""
import datetime
import os
import platform

from cgroup import INTERVAL


def cpu_model():
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return models[0] if models else platform.machine()


def describe(cgroup_version, allocators):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu_model(), "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
        "ram_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "load": round(os.getloadavg()[0], 2), "cgroup_version": cgroup_version,
        "sample_seconds": INTERVAL, "allocators": [allocator.describe() for allocator in allocators.values()],
    }


def lines(facts):
    return [
        f"Machine: {facts['cpu']}, {facts['cores']} cores, {facts['ram_mib']} MiB, Linux {facts['kernel']}, "
        f"cgroup v{facts['cgroup_version']}, load {facts['load']} before the start",
        f"Date: {facts['date']}",
        f"Allocators: {', '.join(facts['allocators'])}",
    ]
