"""Turns the figures of bench/micro/run into tables and files: ratios to a base, and their geometric means."""
import json
import math
import os
import statistics

import tables

BASE = "jemalloc"
FIGURES = ("cpu", "time", "peak")
TABLES = {"CPU time and peak memory": ("cpu", "peak"), "Elapsed time": ("time",)}


def ratio(case, name, figure):
    """The ratio of medians; None where every run of the allocator or of the base failed."""
    if not case[name][figure] or not case[BASE][figure]:
        return None
    return statistics.median(case[name][figure]) / statistics.median(case[BASE][figure])


def complete(results, names):
    """The cases that ran to their end under every allocator: means over different cases cannot be compared."""
    return [case for case in results.values() if all(case[name][figure] for name in names for figure in FIGURES)]


def geometric_mean(cases, name, figure):
    return math.exp(statistics.fmean(math.log(ratio(case, name, figure)) for case in cases)) if cases else None


def absolute(case, figure):
    """The base's own median."""
    if not case[BASE][figure]:
        return "failed"
    median = statistics.median(case[BASE][figure])
    return f"{median / 2**20:.1f} MiB" if figure == "peak" else f"{median * 1e3:.0f} ms"


def number(value):
    return "-" if value is None else f"{value:.2f}"


def relative(case, name, figure):
    return number(ratio(case, name, figure)) if case[name][figure] else "failed"


def table(results, names, figures):
    """The base's own medians first, ratios to it after them, the geometric means last."""
    columns = [(name, figure) for name in names if name != BASE for figure in figures]
    heads = [(BASE, figure) for figure in figures] + columns
    rows = [["", *(f"{name} {figure}" if len(figures) > 1 else name for name, figure in heads)]]
    for name, case in results.items():
        rows.append([name, *(absolute(case, figure) for figure in figures), *(relative(case, *c) for c in columns)])
    cases = complete(results, names)
    return [*rows, [f"geometric mean of {len(cases)}", *("" for _ in figures),
                    *(number(geometric_mean(cases, *column)) for column in columns)]]


def summary(results, names):
    cases = complete(results, names)
    means = {figure: {name: geometric_mean(cases, name, figure) for name in names} for figure in FIGURES}
    return {"geometric_means": means, "cases_in_means": len(cases)}


def facts(about):
    for name, value in about.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        yield f"{name}: {value}"


def report(about, results, names, wrong, markdown=False):
    bullet, heading, form = ("- ", "## ", tables.markdown) if markdown else ("", "", tables.text)
    text = ["\n".join(bullet + fact for fact in facts(about))]
    for words, figures in TABLES.items():
        text += [f"{heading}{words}, as ratios to {BASE}", form(table(results, names, figures))]
    text += [f"failed: {line}" for line in wrong]
    return "\n\n".join(text) + "\n"


def write(out, about, results, names, wrong):
    os.makedirs(out, exist_ok=True)
    plain = report(about, results, names, wrong)
    files = {
        "table.txt": plain,
        "table.md": report(about, results, names, wrong, markdown=True),
        "results.json": json.dumps({**about, "base": BASE, **summary(results, names), "cases": results,
                                    "failed": wrong}, indent=1) + "\n",
    }
    for name, content in files.items():
        with open(f"{out}/{name}", "w", encoding="utf-8") as file:
            file.write(content)
    print(plain)
    print(f"Written to {out}: {', '.join(files)}")
