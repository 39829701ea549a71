"""The peak of live data: what a program cannot do without, whatever its allocator.

The program runs once without a limit under jemalloc with decay 0 and one arena, with live.c preloaded, which tells how
much of each process's heap is free space inside pages in use. Live data is what the cgroup is charged for less that and
less the page cache, at its highest moment: blocks of malloc, as large as their size class, and all memory that is not
malloc's (program data, stacks, heaps of interpreters and shared memory, page tables)."""
import mmap
import os
import struct
import subprocess
import sys

from allocators import Allocator, BY_HAND
from program import BENCH, MIB, run_once

SLOTS, SLOT = 4096, struct.Struct("=qq")     # as in live.c: pid, bytes


def build(work):
    subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", f"{work}/liblive.so", f"{BENCH}/lib/live.c",
                    "-pthread"], check=True)


class Watch:
    def __init__(self, path):
        with open(path, "wb") as file:
            file.truncate(SLOTS * SLOT.size)
        os.chmod(path, 0o666)
        with open(path, "rb") as file:
            self.slots = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self.live = 0

    def slack(self, pids):
        return sum(size for pid, size in SLOT.iter_unpack(self.slots) if pid in pids)

    def __call__(self, group):
        used = group.usage() - group.page_cache() - self.slack(set(group.pids()))
        self.live = max(self.live, used)


def measure(measured, jemalloc, options):
    """The peak in MiB."""
    watch = Watch(f"{options.work}/live")
    counting = Allocator("live", "", jemalloc.library, {"MALLOC_CONF": f"{BY_HAND},tcache:false"})
    counting.environment |= {"LD_PRELOAD": f"{options.work}/liblive.so {jemalloc.library}",
                             "BENCH_LIVE": f"{options.work}/live"}
    run = run_once(measured, counting, None, options, watch=watch)
    if run["outcome"] != "survived":
        sys.exit(f"survival: {measured.title} failed while its live data was measured: {run['problem']}")
    return watch.live / MIB
