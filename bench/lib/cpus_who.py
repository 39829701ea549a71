"""Real programs as they are packaged, asked how many CPUs and how much memory there are."""
import contextlib
import os
import re
import subprocess
import tempfile
import time

CPUS, MEMORY_MIB = 1, 512       # of the cgroup
PIN = ["taskset", "-c", "0"]
NOTES = [f"host: outside any cgroup. off, on: in a cgroup of {CPUS} CPU and {MEMORY_MIB} MiB, with PLIMSOLL_REPORT off "
         f"and cpus,memory. pinned: the same as on, started by {' '.join(PIN)}. Plimsoll is preloaded always; memory in MiB.",
         "yes: on makes the difference; pinned: the affinity mask does, which PLIMSOLL_REPORT leaves alone; by itself: "
         "knows the cgroup without help"]


class Silent(Exception):
    """The program did not say what it was asked for."""


def said(pattern):
    """Takes a number out of what a program prints, and converts it to the unit that is wanted."""
    return lambda text: float(re.search(pattern, text)[1])


def mib(pattern, unit):
    return lambda text: said(pattern)(text) * unit / (1 << 20)


NUMBER = said(r"([\d.]+)")
PAGES = mib(r"(\d+)", os.sysconf("SC_PAGE_SIZE"))
BYTES = mib(r"(\d+)", 1)
PYTHON, NODE = ["python3", "-c"], ["node", "-p"]
JAVA = ["java", "-XX:+PrintFlagsFinal", "-XX:+UseParallelGC"]
BLAS = "import ctypes; print(ctypes.CDLL('libopenblas.so.0').openblas_get_num_threads())"
POOL = "from concurrent.futures import ThreadPoolExecutor as T; print(T()._max_workers)"


def commands(work, go):
    """(what is asked, how it finds out, command, number in its output): CPUs, then memory."""
    return [
        ("getconf _NPROCESSORS_ONLN", "sysconf", ["getconf", "_NPROCESSORS_ONLN"], NUMBER),
        ("C++ std::thread::hardware_concurrency()", "get_nprocs", [f"{work}/asks_cxx"], NUMBER),
        ("Python os.cpu_count()", "sysconf", [*PYTHON, "import os; print(os.cpu_count())"], NUMBER),
        ("Python multiprocessing.cpu_count()", "sysconf",
         [*PYTHON, "import multiprocessing as m; print(m.cpu_count())"], NUMBER),
        ("Python ThreadPoolExecutor(), its threads less 4", "sysconf", [*PYTHON, POOL], lambda t: NUMBER(t) - 4),
        ("OpenBLAS (numpy), its threads", "sysconf", [*PYTHON, BLAS], NUMBER),
        ("MariaDB thread_pool_size", "sched_getaffinity",
         ["/usr/sbin/mariadbd", "--no-defaults", "--user=root", "--verbose", "--help"],
         said(r"(?m)^thread-pool-size +(\d+)")),
        ("Node os.cpus().length", "/proc/cpuinfo, /proc/stat", [*NODE, "os.cpus().length"], NUMBER),
        ("Node os.availableParallelism()", "sched_getaffinity", [*NODE, "os.availableParallelism()"], NUMBER),
        ("nproc, so make -j$(nproc)", "sched_getaffinity", ["nproc"], NUMBER),
        ("OpenMP (libgomp) omp_get_num_procs()", "pthread_getaffinity_np", [f"{work}/asks", "openmp"], NUMBER),
        ("Ruby Etc.nprocessors", "sched_getaffinity", ["ruby", "-retc", "-e", "puts Etc.nprocessors"], NUMBER),
        ("Python len(os.sched_getaffinity(0))", "sched_getaffinity",
         [*PYTHON, "import os; print(len(os.sched_getaffinity(0)))"], NUMBER),
        ("xz --info-memory, its threads", "sched_getaffinity", ["xz", "--info-memory"],
         said(r"processor threads: +(\d+)")),
        ("Go runtime.NumCPU(), GOMAXPROCS", "a system call of its own", [go], NUMBER),
        ("Java ParallelGCThreads", "the cgroup", [*JAVA, "-version"], said(r"ParallelGCThreads += (\d+)")),
    ], [
        ("getconf _PHYS_PAGES", "sysconf", ["getconf", "_PHYS_PAGES"], PAGES),
        ("Python os.sysconf('SC_PHYS_PAGES')", "sysconf",
         [*PYTHON, "import os; print(os.sysconf('SC_PHYS_PAGES'))"], PAGES),
        ("xz --info-memory", "sysconf", ["xz", "--info-memory"], mib(r"\(RAM\):.*\((\d+) B\)", 1)),
        ("Node os.totalmem()", "/proc/meminfo", [*NODE, "os.totalmem()"], BYTES),
        ("procps free", "/proc/meminfo", ["free", "-b"], mib(r"Mem: +(\d+)", 1)),
        ("glibc qsort, MiB beside 160 MiB", "sysconf inside libc", [f"{work}/asks", "qsort"], NUMBER),
        ("Node heap limit (V8)", "the cgroup", [*NODE, "v8.getHeapStatistics().heap_size_limit"], BYTES),
        ("Java MaxHeapSize", "the cgroup", [*JAVA, "-version"], mib(r"MaxHeapSize += (\d+)", 1)),
    ]


@contextlib.contextmanager
def nowhere(*_):
    """In place of a box."""
    yield subprocess.Popen, None


def ways(options, box):
    """Where and how a program is asked: the place to start it, and the words before it."""
    def words(report):
        return [*options.plimsoll.settings(), f"PLIMSOLL_REPORT={report}"]
    on = "cpus,memory"
    return {"host": (nowhere, words("off")), "off": (box, words("off")), "on": (box, words(on)),
            "pinned": (box, [*PIN, *words(on)])}


def ask(options, place, words, command, take):
    with place(options, CPUS, MEMORY_MIB) as (start, _):
        process = start([*words, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                        text=True)
        out, _ = process.communicate(timeout=60)
    try:
        return take(out)
    except (TypeError, ValueError):
        raise Silent(f"{command} said {out[:500]!r}") from None


def eventually(ready):
    for _ in range(600):
        found = ready()
        if found:
            return found
        time.sleep(0.1)
    raise Silent("a server did not start")


def children(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()
    return []


def ask_nginx(options, place, words):
    """Counts nginx's worker processes once no more have come for a second."""
    with tempfile.TemporaryDirectory(dir=options.work) as own, place(options, CPUS, MEMORY_MIB) as (start, _):
        os.chmod(own, 0o755)
        with open(f"{own}/conf", "w") as file:
            file.write(f"worker_processes auto; daemon off; pid {own}/pid; error_log {own}/log;\n"
                       "events {} http { access_log off; server { listen unix:%s/socket; } }\n" % own)
        server = start([*words, "/usr/sbin/nginx", "-c", f"{own}/conf"])
        try:
            eventually(lambda: children(server.pid))
            time.sleep(1)
            return float(len(children(server.pid)))
        finally:
            server.terminate()
            server.wait(timeout=60)


def ask_redis(options, place, words):
    with tempfile.TemporaryDirectory(dir=options.work) as own, place(options, CPUS, MEMORY_MIB) as (start, _):
        socket = f"{own}/socket"
        server = start([*words, "redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
                        "--dir", own], stdout=subprocess.DEVNULL)
        try:
            info = eventually(lambda: subprocess.run(["redis-cli", "-s", socket, "info", "memory"], capture_output=True,
                                                     text=True).stdout)
            return mib(r"total_system_memory:(\d+)", 1)(info)
        finally:
            server.terminate()
            server.wait(timeout=60)


def build_go(work):
    with open(f"{work}/asks.go", "w") as file:
        file.write('package main\n\nimport ("fmt"; "runtime")\n\nfunc main() { fmt.Println(runtime.GOMAXPROCS(0)) }\n')
    subprocess.run(["go", "build", "-o", f"{work}/asks_go", f"{work}/asks.go"], check=True, capture_output=True,
                   env=os.environ | {"GOCACHE": f"{work}/go", "GOPATH": f"{work}/go", "HOME": work, "GO111MODULE": "off"})
    return f"{work}/asks_go"


def same(a, b):
    return abs(a - b) <= 0.01 * max(a, b)   # how much memory a machine has left varies


def verdict(got):
    if not same(got["off"], got["on"]):
        return "yes"
    if not same(got["host"], got["off"]):
        return "by itself"
    return "no" if same(got["on"], got["pinned"]) else "pinned"


def ask_all(options, box):
    cpus, memory = commands(options.work, build_go(options.work))
    cpus.append(("nginx worker_processes auto", "sysconf", ask_nginx))
    memory.append(("Redis total_system_memory", "sysconf", ask_redis))
    results = []
    for kind, programs in ("cpus", cpus), ("memory", memory):
        for name, how, *asking in programs:
            got = {}
            for way, (place, words) in ways(options, box).items():
                got[way] = asking[0](options, place, words) if len(asking) == 1 else ask(options, place, words, *asking)
            results.append({"kind": kind, "name": name, "how": how, **got, "listens": verdict(got)})
    order = ["yes", "pinned", "no", "by itself"]
    return sorted(results, key=lambda result: (result["kind"], order.index(result["listens"])))


def rows(results):
    table = [["asks for", "program", "finds out by", "listens", "host", "off", "on", "pinned"]]
    return table + [[result["kind"], result["name"], result["how"], result["listens"],
                     *(f"{result[way]:.0f}" for way in ("host", "off", "on", "pinned"))] for result in results]
