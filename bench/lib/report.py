"""Turns the runs into a table, a sentence, files and a plot. Every figure and word comes from the runs."""
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys

from cgroup import INTERVAL

COLUMNS = ["allocator", "outcome", "peak MiB", "time s", "no limit: peak MiB", "time s"]
COLOURS = {"glibc": "#E69F00", "jemalloc": "#D55E00", "tcmalloc": "#009E73", "mimalloc": "#CC79A7",
           "Plimsoll": "#0072B2"}
WORDS = {"survived": "survived", "killed": "OOM-killed", "failed": "failed"}


def progress(text):
    """One line that is written over, on a terminal; else nothing."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", flush=True, file=sys.stderr)


def cpu_model():
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return models[0] if models else platform.machine()


def describe(allocators, options):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu_model(), "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
        "ram_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "load": round(os.getloadavg()[0], 2), "cgroup_version": options.cgroup_version, "runs": options.runs,
        "sample_seconds": INTERVAL, "versions": {name: a["version"] for name, a in allocators.items()},
    }


def facts_lines(facts):
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return [
        f"Machine: {facts['cpu']}, {facts['cores']} cores, {facts['ram_mib']} MiB, Linux {facts['kernel']}, "
        f"cgroup v{facts['cgroup_version']}, load {facts['load']} before the start",
        f"Date: {facts['date']}",
        f"Allocators, all untuned: {versions}",
        f"Runs: {facts['runs']} of each at the limit, medians shown, and 1 without a limit; "
        f"usage as the kernel counts it",
    ]


def introduce(facts):
    print("\n".join(facts_lines(facts)), flush=True)


def typical(runs):
    """The run that stands for the others: of the most frequent outcome, the one with the median time."""
    outcome = statistics.mode(run["outcome"] for run in runs)
    same = [run for run in runs if run["outcome"] == outcome]
    same.sort(key=lambda run: run["killed_at"] or run["seconds"])
    return same[len(same) // 2] | {"times": len(same), "of": len(runs)}


def row(name, runs):
    run, free = typical(runs["runs"]), runs["free"]
    text = WORDS[run["outcome"]] + (f" at {run['killed_at']:.1f} s" if run["outcome"] == "killed" else "")
    if run["of"] > 1:
        text += f", {run['times']} of {run['of']}"
    return [name, text, f"{run['peak_mib']:.0f}", duration(run), f"{free['peak_mib']:.0f}", duration(free)]


def duration(run):
    return f"{run['seconds']:.1f}" if run["outcome"] == "survived" else "-"


def heading(workload):
    return f"{workload['title']}; limit {workload['limit_mib']} MiB"


def text_table(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  " + "  ".join(cell.ljust(w) if i < 2 else cell.rjust(w)
                                      for i, (cell, w) in enumerate(zip(cells, widths))) for cells in rows)


def markdown_table(rows):
    rule = ["---", "---", "--:", "--:", "--:", "--:"]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [rows[0], rule, *rows[1:]])


def listing(names):
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def fate(run):
    often = "" if run["times"] == run["of"] else f" in {run['times']} of {run['of']} runs"
    return WORDS[run["outcome"]] + often


def verdict(workload):
    """What happened in one workload, in a sentence; survivors first."""
    fates = {}
    for name, runs in workload["allocators"].items():
        fates.setdefault(fate(typical(runs["runs"])), []).append(name)
    clauses = []
    for word in sorted(fates, key=lambda word: not word.startswith("survived")):
        verb = ("was " if len(fates[word]) == 1 else "were ") if word.startswith("OOM") else ""
        clauses.append(f"{listing(fates[word])} {verb}{word}")
    return f"{workload['title']}, in {workload['limit_mib']} MiB: {'; '.join(clauses)}{ratio(workload)}."


def ratio(workload):
    """Plimsoll's time at the limit against that of the allocator it builds on, given all the memory it wants."""
    ours = typical(workload["allocators"]["Plimsoll"]["runs"])
    base = workload["allocators"]["jemalloc"]["free"]
    if ours["outcome"] != "survived" or base["outcome"] != "survived":
        return ""
    return f" (Plimsoll took {ours['seconds'] / base['seconds']:.2f} times as long as jemalloc without a limit)"


def problems(workload):
    for name, runs in workload["allocators"].items():
        for run in [runs["free"], *runs["runs"]]:
            if run["outcome"] == "failed":
                yield f"{name} failed in '{workload['title']}': {run['problem']}"


def write(facts, results, out):
    os.makedirs(out, exist_ok=True)
    tables = [(heading(w), [COLUMNS, *(row(name, runs) for name, runs in w["allocators"].items())]) for w in results]
    sentence = " ".join(map(verdict, results))
    notes = [note for workload in results for note in problems(workload)]
    with open(f"{out}/results.md", "w") as file:
        parts = ["# Who survives the limit", "\n".join(f"- {line}" for line in facts_lines(facts)),
                 *(f"## {title}\n\n{markdown_table(rows)}" for title, rows in tables),
                 "![Memory usage over time](usage.svg)", *notes, sentence]
        file.write("\n\n".join(parts) + "\n")
    with open(f"{out}/results.json", "w") as file:
        json.dump(facts | {"summary": sentence, "workloads": results}, file)
    plot(results, out)
    for title, rows in tables:
        print(f"\n{title}\n\n{text_table(rows)}")
    print("", *notes, f"Written: results.md, results.json, usage.png, usage.svg in {out}", "", sentence, sep="\n")


def write_series(path, samples):
    with open(path, "w") as file:
        file.writelines(f"{seconds:.3f}\t{mib:.2f}\n" for seconds, mib in samples)


def panel(workload, out):
    """gnuplot commands for one workload: the typical run of each allocator, a cross where it was killed."""
    limit, curves, kills, end = workload["limit_mib"], [], [], 0
    for name, runs in workload["allocators"].items():
        run, path = typical(runs["runs"]), f"{out}/{workload['name']}-{name.lower()}.tsv"
        killed = [(run["killed_at"], limit)] if run["outcome"] == "killed" else []
        write_series(path, run["samples"] + killed)
        width = 3 if name == "Plimsoll" else 2
        label = f"{name}: {row(name, runs)[1]}"
        curves.append(f"'{path}' with lines lw {width} lc rgb '{COLOURS[name]}' title '{label}'")
        end = max(end, run["samples"][-1][0])
        if killed:
            last = len(run["samples"])
            kills.append(f"'{path}' every ::{last} with points pt 2 ps 1.6 lw 3 lc rgb '{COLOURS[name]}' notitle")
    return f"""
set title "{heading(workload)}" font ",15"
set xrange [0:{end * 1.02}]
set yrange [0:{limit * 1.15}]
set label 1 "limit {limit} MiB" at graph 0.99, first {limit * 1.06} right
plot {limit} with lines dt 2 lw 2 lc rgb 'black' notitle, {', '.join(curves + kills)}
"""


def plot(results, out):
    size = 380 * len(results)
    panels = "".join(panel(workload, out) for workload in results)
    for terminal, suffix in ((f"pngcairo size 1100,{size} font 'DejaVu Sans,12'", "png"),
                             (f"svg size 1100,{size} font 'DejaVu Sans,14' background 'white'", "svg")):
        script = f"""
set terminal {terminal}
set output '{out}/usage.{suffix}'
set lmargin at screen 0.08
set rmargin at screen 0.59
set key at screen 0.985, graph 0.6 right center Left reverse spacing 1.6 samplen 2
set grid ytics lc rgb '#dddddd' lt 1
set border 3
set tics nomirror out
set xlabel "seconds"
set ylabel "memory usage, MiB"
set multiplot layout {len(results)},1
{panels}
unset multiplot
"""
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
