"""Turns the runs of bench/demo into a table, a sentence, files and a plot. Every figure and word comes from the runs."""
import json
import os
import statistics
import sys

import machine
import tables
from tables import listing

COLUMNS = ["allocator", "outcome", "peak MiB", "time s", "no limit: peak MiB", "time s"]
WORDS = {"survived": "survived", "killed": "OOM-killed", "failed": "failed", "late": "did not end"}


def progress(text):
    """Prints a line that the next one overwrites, on a terminal; elsewhere nothing."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", flush=True, file=sys.stderr)


def facts_lines(facts):
    return [*machine.lines(facts),
            f"Runs: {facts['runs']} of each at the limit, medians shown, and 1 without a limit; "
            f"usage as the kernel counts it"]


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
    for name in set(workload["allocators"]) & {"jemalloc", "jemalloc-tuned"}:
        base = workload["allocators"][name]["free"]
        if ours["outcome"] == base["outcome"] == "survived":
            return f" (Plimsoll took {ours['seconds'] / base['seconds']:.2f} times as long as {name} without a limit)"
    return ""


def problems(workload):
    for name, runs in workload["allocators"].items():
        for run in [runs["free"], *runs["runs"]]:
            if run["outcome"] == "failed":
                yield f"{name} failed in '{workload['title']}': {run['problem']}"


def write(facts, results, out):
    os.makedirs(out, exist_ok=True)
    found = [(heading(w), [COLUMNS, *(row(name, runs) for name, runs in w["allocators"].items())]) for w in results]
    sentence = " ".join(map(verdict, results))
    notes = [note for workload in results for note in problems(workload)]
    with open(f"{out}/results.md", "w") as file:
        parts = ["# Who survives the limit", "\n".join(f"- {line}" for line in facts_lines(facts)),
                 *(f"## {title}\n\n{tables.markdown(rows, left=2)}" for title, rows in found),
                 "![Memory usage over time](usage.svg)", *notes, sentence]
        file.write("\n\n".join(parts) + "\n")
    with open(f"{out}/results.json", "w") as file:
        json.dump(facts | {"summary": sentence, "workloads": results}, file)
    tables.draw_usage(f"{out}/usage", [panel(workload, out) for workload in results])
    for title, rows in found:
        print(f"\n{title}\n\n{tables.text(rows, left=2)}")
    print("", *notes, f"Written: results.md, results.json, usage.png, usage.svg in {out}", "", sentence, sep="\n")


def panel(workload, out):
    series = [(name, f"{name}: {row(name, runs)[1]}", typical(runs["runs"]))
              for name, runs in workload["allocators"].items()]
    return tables.usage_panel(series, workload["limit_mib"], f"{out}/{workload['name']}", heading(workload))
