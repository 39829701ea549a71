"""The allocators, as their packages ship them, and how a program is started under each."""
import glob
import os
import subprocess

TUNING = ("MALLOC_", "GLIBC_TUNABLES", "TCMALLOC_", "MIMALLOC_", "PLIMSOLL", "LD_PRELOAD")   # in the environment
BY_HAND = "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:1"
PEERS = [("glibc", "libc6", "libc.so.6", {}), ("jemalloc", "libjemalloc2", "libjemalloc.so.2", {}),
         ("jemalloc-tuned", "libjemalloc2", "libjemalloc.so.2", {"MALLOC_CONF": BY_HAND}),
         ("tcmalloc", "libtcmalloc-minimal4", "libtcmalloc_minimal.so.4", {}),
         ("mimalloc", "libmimalloc2.0", "libmimalloc.so.2", {})]
NAMES = [*(peer[0] for peer in PEERS), "Plimsoll"]
# The settings that their manuals have for giving memory back early, at the earliest.
TUNED = [("glibc-tuned", "libc6", "libc.so.6", {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "131072"}),
         ("tcmalloc-tuned", "libtcmalloc-minimal4", "libtcmalloc_minimal.so.4",
          {"TCMALLOC_AGGRESSIVE_DECOMMIT": "1", "TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES": "1048576"}),
         ("mimalloc-tuned", "libmimalloc2.0", "libmimalloc.so.2",
          {"MIMALLOC_DECOMMIT_DELAY": "0", "MIMALLOC_RESET_DELAY": "0", "MIMALLOC_PAGE_RESET": "1"})]


class Allocator:
    def __init__(self, name, version, library, tuning=None):
        self.name, self.version, self.library, self.tuning = name, version, library, tuning or {}
        # glibc is preloaded as well: some programs are linked to another allocator, which would
        # come before it.
        self.environment = {"LD_PRELOAD": library} | self.tuning

    def settings(self):
        """Words to put before a command. Neither env(1) itself nor a load generator has the library preloaded."""
        return ["env", *(f"{name}={value}" for name, value in self.environment.items())]

    def describe(self):
        tuning = " ".join(f"{name}={value}" for name, value in self.tuning.items())
        return f"{self.name} {self.version}" + (f" ({tuning})" if tuning else "")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def find(library, version):
    """Maps names to allocators; library and version are those of Plimsoll."""
    found = {}
    for name, package, soname, tuning in PEERS + TUNED:
        files = [file for file in output("dpkg-query", "-L", package).split() if file.endswith("/" + soname)]
        # With /usr merged a package may list its library under /lib only.
        path = next(filter(os.path.exists, files), None) or glob.glob(f"/usr/lib/*/{soname}")[0]
        found[name] = Allocator(name, output("dpkg-query", "-W", "-f", "${Version}", package), path, tuning)
    found["Plimsoll"] = Allocator("Plimsoll", version, library)
    return found


def forget_tuning():
    """Removes allocator settings from the environment in which the benchmark was started."""
    for name in [name for name in os.environ if name.startswith(TUNING)]:
        del os.environ[name]
