"""The suites: where Debian puts them, how each case is run, and what is left out and why."""

import glob
import os
import shlex

from perl_core import perl
from redis_tests import redis
from suite import Case, Suite, version

INSTALLED = "/usr/share/installed-tests"


def installed_tests(directory, wanted, left_out, env=None):
    """Cases by the description files that gnome-desktop-testing-runner reads."""
    cases = []
    for path in sorted(glob.glob(f"{INSTALLED}/{directory}/**/*.test", recursive=True)):
        name = os.path.relpath(path, f"{INSTALLED}/{directory}").removesuffix(".test")
        if name in left_out or (wanted is not None and name not in wanted):
            continue
        with open(path, encoding="utf-8") as file:
            lines = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
        cases.append(Case(name, shlex.split(lines["Exec"]), "tap", env))
    return cases


# --- GLib ---

GLIB_LEFT_OUT = {
    "performance": "a benchmark: it measures, and tests nothing",
    "performance-threaded": "a benchmark: it measures, and tests nothing",
}
# These use random data, so that the memory they need differs by half from run to run.
GLIB_SEED = ["--seed", "R02S0123456789abcdef0123456789abcdef"]
GLIB_SEEDED = {"gvariant", "queue", "sequence"}
GLIB_SUBSET = {
    "array-test", "asyncqueue", "bytes", "cache", "dataset", "hash", "hmac", "list",
    "mem-overflow", "memchunk", "node", "once", "option-context", "private", "ptr-array", "queue",
    "rcbox", "regex", "slice-concurrent", "slice-known-pages", "slist",
    "strfuncs", "string", "strvbuilder", "thread",
    "thread-pool", "tree", "utf8-misc", "markup-parse", "signals", "properties",
    "reference", "buffered-input-stream", "memory-output-stream", "converter-stream", "task",
}


def glib(args):
    # G_SLICE: GLib takes small blocks from malloc, not from pages that it divides itself.
    cases = installed_tests("glib", None if args.all else GLIB_SUBSET, GLIB_LEFT_OUT,
                            {"G_SLICE": "always-malloc"})
    for case in cases:
        case.words += GLIB_SEED if case.name in GLIB_SEEDED else []
    return Suite("glib", "libglib2.0-tests", cases)


# --- D-Bus, GDK-Pixbuf, Graphene ---

DBUS_SUBSET = {"test-hash", "test-marshal", "test-message", "test-refs", "test-relay",
               "test-loopback", "test-misc-internals"}


def dbus(args):
    return Suite("dbus", "dbus-tests",
                 installed_tests("dbus", None if args.all else DBUS_SUBSET, {}))


PIXBUF_LEFT_OUT = {
    "pixbuf-fail": "asks for 2.4 TB and writes them if it gets them: the C library's malloc is refused "
                   "by the kernel, jemalloc reserves without a promise (MAP_NORESERVE), with and "
                   "without this library",
}
PIXBUF_SUBSET = {"pixbuf-gif", "pixbuf-scale", "pixbuf-stream", "animation", "cve-2015-4491"}


def pixbuf(args):
    return Suite("gdk-pixbuf", "gdk-pixbuf-tests",
                 installed_tests("gdk-pixbuf", None if args.all else PIXBUF_SUBSET, PIXBUF_LEFT_OUT))


def graphene(args):
    return Suite("graphene", "graphene-tests",
                 installed_tests("graphene-1.0", None if args.all else {"matrix", "vec4"}, {}))


# --- Python ---

PYTHON = "/usr/bin/python3.11"  # Debian's, whatever else PATH holds
PYTHON_SUBSET = ["test_gc", "test_mmap", "test_fork1", "test_thread", "test_array", "test_zlib",
                 "test_weakref", "test_threading_local"]
PYTHON_ALL = PYTHON_SUBSET + [
    "test_threading", "test_subprocess", "test_bytes", "test_ctypes", "test_list", "test_dict",
    "test_set", "test_deque", "test_memoryview", "test_memoryio", "test_io", "test_struct",
    "test_unicode", "test_re", "test_json", "test_pickle", "test_hashlib", "test_bz2", "test_lzma",
    "test_xml_etree_c", "test_pyexpat", "test_decimal", "test_faulthandler",
    "test_resource", "test_signal", "test_posix", "test_os", "test_embed",
    "test_generators", "test_coroutines", "test_exceptions", "test_queue", "test_select",
    "test_tracemalloc", "test_finalization", "test_multiprocessing_main_handling",
    "test_shelve", "test_mailbox", "test_zipfile", "test_tarfile",
]
# Long modules run in parts, by patterns of test names.
PYTHON_PARTS = {
    "test_multiprocessing_fork": ["WithProcessesTestPool*", "WithProcessesTestQueue*",
                                  "WithProcessesTestSharedMemory*", "WithProcessesTestHeap*",
                                  "WithThreadsTestPool*"],
    "test_multiprocessing_spawn": ["WithProcessesTestQueue*", "WithProcessesTestHeap*"],
    "test_concurrent_futures": ["ThreadPool*", "ProcessPoolFork*"],
}
PYTHON_LEFT_OUT = {
    "test_pass_fds_redirected": "asserts that a child has no descriptor open that it was not given; "
                                "the library has one (close-on-exec, 512 or above)",
}


def python_case(module, patterns=()):
    words = [PYTHON, "-m", "test", "--junit-xml=@WORK@/junit.xml", "--tempdir=@WORK@"]
    for name in PYTHON_LEFT_OUT:
        words += ["-i", f"*{name}"]
    for pattern in patterns:
        words += ["-m", f"*{pattern}"]
    # PYTHONMALLOC: all blocks come from malloc, none from Python's own allocator for small ones.
    return Case(module, words + [module], "junit", {"PYTHONMALLOC": "malloc"}, timeout=600)


def python(args):
    package = "libpython3.11-testsuite"
    cases = []
    if version(package) != "not installed":
        cases = [python_case(name) for name in (PYTHON_ALL if args.all else PYTHON_SUBSET)]
        if args.all:
            cases += [python_case(name, parts) for name, parts in PYTHON_PARTS.items()]
    return Suite("python", package, cases)


# --- malloc as the C library's tests see it ---


def glibc_like(args):
    program = f"{args.build}/tests/foreign/glibc_like"
    return Suite("glibc-like", None, [Case("glibc_like", [program], "tap")])


# The last two need source packages.
SUITES = {"glibc-like": glibc_like, "glib": glib, "dbus": dbus, "gdk-pixbuf": pixbuf,
          "graphene": graphene, "python": python, "perl": perl, "redis": redis}
FROM_SOURCES = {"perl", "redis"}
