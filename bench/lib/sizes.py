"""How large the library is, and what each part of it takes: sizes.py BUILD JEMALLOC."""
import glob
import os
import re
import subprocess
import sys
import tempfile

# Parts by the names of their sources, without a suffix; the first that fits counts.
PARTS = [
    ("jemalloc: heap profiler", r"jemalloc/prof\w*"),
    ("jemalloc: statistics and mallctl", r"jemalloc/(stats|ctl|emitter|malloc_io)"),
    ("jemalloc: the allocator", r"jemalloc/.*"),
    ("flight record", r"record\w*"),
    ("stats page", r"stats\w*|publish|control"),
    ("heap profile call", r"heap_profile|jemalloc_math"),
    ("cgroups, limits, events", r"cgroup_\w+|limits|events|outer|read_ahead|usage\w*|capacity"),
    ("variables", r"options\w*"),
    ("governor, watcher, reclaimers",
     r"governor\w*|decay_curve|watcher\w*|look\w*|reclaimers|at_limit|admit|requests|pressure_fd|namespaces|notify"),
    ("accounts, pages, arenas, start", r"hooks\w*|account|arenas\w*|pages|boot|conf|fork|jemalloc_\w+"),
    ("malloc, operator new, API", r"malloc\w*|sysconf|atfork|deepbind|api"),
    ("system calls, text, log", r"sys\w*|fmt|lock|log"),
]
SECTIONS = re.compile(r"^(\.\S+)\s+(\d+)\s+\d+$")


def section_sizes(path):
    """(file bytes that are loaded, zeroed bytes) of an object or library."""
    text = subprocess.run(["size", "-A", "-d", path], check=True, capture_output=True, text=True).stdout
    loaded = zeroed = 0
    for line in text.splitlines():
        match = SECTIONS.match(line)
        if match is None or match[1].startswith((".debug", ".comment", ".note.GNU", ".symtab", ".strtab")):
            continue
        if match[1].startswith((".bss", ".tbss")):
            zeroed += int(match[2])
        else:
            loaded += int(match[2])
    return loaded, zeroed


def own_objects(build):
    for directory in ("core", "lower", "next"):
        for path in glob.glob(f"{build}/src/libplimsoll_{directory}.a.p/*.o"):
            yield os.path.basename(path).removesuffix(".c.o"), path


def jemalloc_objects(build, directory):
    archive = os.path.abspath(f"{build}/src/libjemalloc_prefixed.a")
    subprocess.run(["ar", "x", archive], check=True, cwd=directory)
    for path in glob.glob(f"{directory}/*.o"):
        yield "jemalloc/" + os.path.basename(path).split(".")[0], path


def stripped(path):
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-o", copy.name, path], check=True)
        return os.path.getsize(copy.name)


def part_of(name):
    for part, pattern in PARTS:
        if re.fullmatch(pattern, name):
            return part
    sys.exit(f"sizes.py: {name} is of no part: PARTS wants it")


def row(name, *values):
    print(f"| {name:<34} | " + " | ".join(f"{value / 1024:8.1f}" for value in values) + " |")


def main():
    build, jemalloc = sys.argv[1:]
    library = f"{build}/src/libplimsoll.so.0"
    print("| file, stripped                     |      KiB |\n|---|---:|")
    row("libplimsoll.so", stripped(library))
    row("libjemalloc.so.2", stripped(os.path.realpath(jemalloc)))
    for name in ("cold_server_static", "cold_server_static_jemalloc", "cold_server_static_plimsoll"):
        if os.path.exists(f"{build}/bench/{name}"):
            row(name, stripped(f"{build}/bench/{name}"))
    totals = {part: [0, 0] for part, _ in PARTS}
    with tempfile.TemporaryDirectory() as directory:
        for name, path in [*own_objects(build), *jemalloc_objects(build, directory)]:
            for i, value in enumerate(section_sizes(path)):
                totals[part_of(name)][i] += value
    print("\n| part of libplimsoll.so             | loaded KiB | zeroed KiB |\n|---|---:|---:|")
    for part, values in totals.items():
        if any(values):
            row(part, *values)
    whole = section_sizes(library)
    row("tables and stubs of the linker", *(max(0, whole[i] - sum(t[i] for t in totals.values())) for i in (0, 1)))
    row("all", *whole)


if __name__ == "__main__":
    main()
