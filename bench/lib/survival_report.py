"""Turns the runs of bench/survival into tables, sentences, files and plots. Every figure and word comes from the runs."""
import json
import math
import statistics

import machine
import program
import search
import tables
from allocators import BY_HAND, NAMES

WORDS = {"survived": "survives", "killed": "OOM-killed", "failed": "fails", "late": "too slow"}
DETAILS = ["allocator", "smallest limit", "of live", "peak there", "time there", "time at 1.25 x", "time, no limit",
           "peak, no limit"]


def progress(text):
    print(text, flush=True)


def middle(runs, key):
    values = [run[key] for run in runs if search.survived(run)]
    return statistics.median(values) if values else None


def number(value, form="{:.0f}"):
    return "-" if value is None else form.format(value)


def limit_name(mib):
    return f"{mib} MiB" if mib else "no limit"


def summarize(results, wanted):
    """What is known, by program and allocator."""
    found = {}
    for name in sorted(results.data["runs"]):
        entry = {"title": program.load(name).title, "live_mib": results.live(name), "allocators": {}}
        for allocator in NAMES:
            runs = results.runs(name, allocator)
            if runs:
                entry["allocators"][allocator] = figures(runs, wanted)
        found[name] = entry
    return found


def figures(runs, wanted):
    """wanted: how many runs at a limit an answer needs."""
    limit, free = search.smallest(runs, wanted), search.at(runs, None)
    there = search.at(runs, limit) if limit else []
    more = search.at(runs, search.roomy(limit)) if limit else []
    return {"smallest_mib": limit, "runs_there": len(there), "peak_mib": middle(there, "peak_mib"),
            "seconds": middle(there, "seconds"), "seconds_roomy": middle(more, "seconds"),
            "seconds_free": middle(free, "seconds"), "peak_free_mib": search.peak_free(runs),
            "problems": sorted({run["problem"] for run in runs if run["outcome"] == "failed"})}


def lives(runs):
    survived = sum(map(search.survived, runs))
    return f"{survived} of {len(runs)}" + (f", {middle(runs, 'seconds'):.1f} s" if survived else "")


def at_limits(results, options):
    """Prints how many runs survived at each limit of --at, and the median of their times in seconds."""
    rows = [["program", "allocator", *map(limit_name, options.at)]]
    for name in options.programs:
        for allocator in options.allocators:
            runs = results.runs(name, allocator)
            rows.append([name, allocator, *(lives(search.at(runs, limit)) for limit in options.at)])
    print(f"\nsurvived, and the median of their time\n\n{tables.text(rows, left=2)}")


def smallest_rows(found):
    names = [name for name in NAMES if any(name in entry["allocators"] for entry in found.values())]
    rows = [["program", "live", *names]]
    for name, entry in found.items():
        limits = [entry["allocators"].get(allocator, {}).get("smallest_mib") for allocator in names]
        rows.append([name, number(entry["live_mib"]), *map(number, limits)])
    known = [entry for entry in found.values() if entry["live_mib"] and
             all(entry["allocators"].get(allocator, {}).get("smallest_mib") for allocator in names)]
    means = [mean_over(known, allocator) for allocator in names]
    return [*rows, [f"geometric mean of {len(known)}, of live", "1.00", *(number(mean, "{:.2f}") for mean in means)]]


def mean_over(entries, allocator):
    """The geometric mean of an allocator's smallest limits, each as a multiple of the live data."""
    ratios = [entry["allocators"][allocator]["smallest_mib"] / entry["live_mib"] for entry in entries]
    return math.exp(statistics.fmean(map(math.log, ratios))) if ratios else None


def detail_rows(entry):
    rows = [DETAILS]
    for allocator, f in entry["allocators"].items():
        of_live = f["smallest_mib"] / entry["live_mib"] if f["smallest_mib"] and entry["live_mib"] else None
        rows.append([allocator, number(f["smallest_mib"]), number(of_live, "{:.2f}"), number(f["peak_mib"]),
                     *(number(f[key], "{:.1f}") for key in ("seconds", "seconds_roomy", "seconds_free")),
                     number(f["peak_free_mib"])])
    return rows


def verdict(found):
    """Where Plimsoll has the smallest limit of all untuned allocators, and where not."""
    ahead, even, behind = [], [], []
    for name, entry in found.items():
        limits = {a: f["smallest_mib"] for a, f in entry["allocators"].items() if f["smallest_mib"]}
        ours = limits.pop("Plimsoll", None)
        limits.pop("jemalloc-tuned", None)
        if ours is None or not limits:
            continue
        best = min(limits, key=limits.get)
        lead = limits[best] - ours
        group = ahead if lead > search.STEP else even if lead >= -search.STEP else behind
        group.append(f"{name} ({ours} against {limits[best]} of {best})")
    said = [f"Among the untuned allocators, Plimsoll has the smallest limit in {tables.listing(ahead)}" if ahead else "",
            f"is within {search.STEP} MiB of the best in {tables.listing(even)}" if even else "",
            f"is behind in {tables.listing(behind)}" if behind else ""]
    return "; ".join(filter(None, said)) + "." if any(said) else ""


def mixed_builds(results):
    digests = {run.get("library") for runs in results.data["runs"].values() for run in runs.get("Plimsoll", [])}
    if len(digests) > 1:
        yield f"The runs of Plimsoll are of {len(digests)} builds of it; --redo measures anew."


def introduction(results, wanted):
    return [*machine.lines(results.facts()), f"First runs: {results.facts()['first_date']}",
            f"Smallest limit: MiB, found to {search.STEP} MiB, with {wanted} runs at it; there and at every larger limit "
            f"tried no run was OOM-killed, ended with an error or a wrong answer, or took more than {search.PATIENCE} times "
            f"as long as without a limit and {search.GRACE} s. Times are medians, in seconds",
            "Live: MiB at the highest moment of one run without a limit: blocks in use as malloc counts them, and all "
            "that is not malloc's; no page cache",
            f"jemalloc-tuned: by hand, {BY_HAND}; all others untuned"]


def write(results, options, aloud=False):
    out, wanted = options.out, options.runs
    found = summarize(results, wanted)
    if not found:
        return
    first, notes = introduction(results, wanted), [*mixed_builds(results), verdict(found)]
    notes += [f"{name}, {allocator}: {problem}" for name, entry in found.items()
              for allocator, f in entry["allocators"].items() for problem in f["problems"]]
    top = smallest_rows(found)
    parts = ["\n".join(first), "Smallest limit survived, MiB", tables.text(top), *notes]
    for name, entry in found.items():
        parts += [heading(name, entry), tables.text(detail_rows(entry))]
    with open(f"{out}/results.txt", "w") as file:
        file.write("\n\n".join(parts) + "\n")
    drawn = plot(results, found, out)
    write_markdown(first, top, notes, found, drawn, out)
    with open(f"{out}/results.json", "w") as file:
        json.dump(results.facts() | {"programs": found}, file, indent=1)
    if aloud:
        print("", *parts[:3 + len(notes)], f"Written: results.txt, results.md, results.json and plots in {out}", sep="\n\n")


def heading(name, entry):
    return f"{name}: {entry['title']}; {number(entry['live_mib'])} MiB live"


def write_markdown(first, top, notes, found, drawn, out):
    parts = ["# The smallest limit that each survives", "\n".join(f"- {line}" for line in first),
             tables.markdown(top), "![The smallest limit by program](smallest.svg)", *notes]
    for name, entry in found.items():
        parts += [f"## {heading(name, entry)}", tables.markdown(detail_rows(entry))]
        parts += [f"![Memory usage over time](usage-{name}.svg)"] if name in drawn else []
    with open(f"{out}/results.md", "w") as file:
        file.write("\n\n".join(filter(None, parts)) + "\n")


def plot(results, found, out):
    """Returns the programs whose usage was drawn."""
    plot_smallest(found, out)
    drawn = set()
    for name, entry in found.items():
        limit = entry["allocators"].get("Plimsoll", {}).get("smallest_mib")
        series = [(allocator, search.at(results.runs(name, allocator), limit)) for allocator in entry["allocators"]]
        series = [(allocator, f"{allocator}: {fate(runs[0])}", runs[0]) for allocator, runs in series if runs]
        if limit and series:
            panel = tables.usage_panel(series, limit, f"{out}/usage-{name}", f"{entry['title']}, in {limit} MiB")
            tables.draw_usage(f"{out}/usage-{name}", [panel])
            drawn.add(name)
    return drawn


def fate(run):
    when = run["killed_at"] if run["killed_at"] is not None else run["seconds"]
    return f"{WORDS[run['outcome']]}, {when:.1f} s"


def plot_smallest(found, out):
    """Grouped bars, each a multiple of the live data so that small programs are seen too."""
    rows = {name: entry for name, entry in found.items() if entry["live_mib"]}
    names = [name for name in NAMES if any(name in entry["allocators"] for entry in rows.values())]
    if not rows or not names:
        return
    with open(f"{out}/smallest.tsv", "w") as file:
        file.write("\t".join(["program", *names]) + "\n")
        for name, entry in rows.items():
            limits = (entry["allocators"].get(allocator, {}).get("smallest_mib") for allocator in names)
            cells = [f"{limit / entry['live_mib']:.3f}" if limit else "?" for limit in limits]
            file.write("\t".join([name, *cells]) + "\n")
    bars = ", ".join(f"'{out}/smallest.tsv' using {i + 2}:xtic(1) lc rgb '{tables.COLOURS[name]}' title '{name}'"
                     for i, name in enumerate(names))
    tables.draw(f"{out}/smallest", (max(700, 75 * len(rows) + 120), 480), f"""
set title "Smallest memory limit survived, as a multiple of the live data" font ",15"
set datafile separator "\\t"
set datafile missing "?"
set style data histogram
set style histogram clustered gap 1.5
set style fill solid noborder
set boxwidth 0.95
set yrange [0:*]
set grid ytics lc rgb '#dddddd' lt 1
set border 3
set tics nomirror out
set xtics rotate by -35 noenhanced
set key outside top center horizontal
plot 1 with lines dt 2 lw 2 lc rgb 'black' title 'live', {bars}
""")
