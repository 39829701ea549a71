"""Turns the figures of bench/pressure into tables, files and plots, and says which goals are met."""
import json
import os

import machine
import pressure_plots
import tables
from pressure_figures import (SECOND, both, cpu_shares, crossings, freed_to_asked, merged, overshoot,
                              overshoot_allowed, per_gib, percentiles, room, time_over, windows)

MIB = 1 << 20
SHARES = [0.5, 0.99, 0.999, 0.9999, 1]


class Goals:
    def __init__(self):
        self.all = []

    def add(self, what, wanted, got, met):
        self.all.append({"goal": what, "wanted": wanted, "measured": got, "met": bool(met)})

    def table(self):
        return [["goal", "wanted", "measured", ""],
                *([goal["goal"], goal["wanted"], goal["measured"], "met" if goal["met"] else "MISSED"]
                  for goal in self.all)]

    def missed(self):
        return [goal["goal"] for goal in self.all if not goal["met"]]


def mib(value):
    return f"{value / MIB:.1f}"


def us(ns):
    return f"{ns / 1000:.2f}" if ns < 10_000 else f"{ns / 1000:.0f}"


def ms(ns):
    return f"{ns / 1e6:.2f}"


def percent(share):
    return f"{share * 100:.2f}"


def report_overshoot(part, goals):
    rows = [["run", "growth MiB/s", "soft limit MiB", "highest usage MiB", "overshoot MiB", "over it, % of samples",
             "room for free pages MiB"]]
    for at, run in enumerate(part["runs"], 1):
        rows.append([str(at), f"{run['rate'] / MIB:.0f}", mib(run["soft"]), mib(run["peak"]), mib(overshoot(run)),
                     percent(time_over(run)), mib(room(run))])
    worst = max(part["runs"], key=overshoot)
    goals.add("overshoot of the soft limit, enough purgeable", f"at most {mib(overshoot_allowed(worst))} MiB",
              f"{mib(overshoot(worst))} MiB", overshoot(worst) <= overshoot_allowed(worst))
    text = ("Overshoot is the highest usage that the kernel counted (its own high mark, which misses nothing) less the "
            f"soft limit, while live memory fits below it: at most {part['live_mib']:.0f} MiB of "
            f"{part['limit_mib']} MiB. Negative: it stayed below.")
    return [("Overshoot", text, rows)]


def report_stalls(part, goals):
    rows = [["", "calls", "p50 us", "p99 us", "p99.9 us", "p99.99 us", "longest us"]]
    result = {}
    for kind, runs in part.items():
        for name, what in (("", ""), ("_own", ", with a CPU")):
            for label, histogram in (("malloc and free", merged([both(run, name) for run in runs])),
                                     ("nothing", merged([run["histograms"][f"nothing{name}"] for run in runs]))):
                result[kind, label, name] = histogram
                rows.append([f"{kind}: {label}{what}", f"{sum(count for _, count in histogram['counts']):,}",
                             *map(us, percentiles(histogram, SHARES))])
    p999, longest = percentiles(result["Plimsoll, at the limit", "malloc and free", "_own"], [0.999, 1])
    other = percentiles(result["jemalloc, no limit", "malloc and free", "_own"], [1])[0]
    goals.add("malloc and free at the limit, p99.9", "at most 1 ms", f"{ms(p999)} ms", p999 <= 1e6)
    goals.add("malloc and free at the limit, longest", "at most 10 ms",
              f"{ms(longest)} ms (jemalloc without a limit {ms(other)} ms)", longest <= 10e6)
    text = ("One thread calls malloc and free all the time and notes how long each call takes, while two others take "
            "turns to grow at 1 GiB a second. 'Nothing' is work of about that length without a call, done by the same "
            "thread in turns: what the machine does to any thread. 'With a CPU' leaves out the time in which the "
            "thread was ready to run and the kernel had no CPU for it (schedstat). The goals are held against that.")
    return [("Stalls of an allocating thread", text, rows)]


def report_cpu(part, goals):
    rows = [["", "growth MiB/s", "% of one CPU", "% of its own CPU time", "worst 2 s, % of one CPU"]]
    for kind, run in part.items():
        shares = cpu_shares(run)
        rows.append([kind, f"{run['rate'] / MIB:.0f}", *map(percent, shares), percent(worst_window(run))])
    far, near = part["far from the limit"], part["at the limit, 1 GiB/s"]
    goals.add("CPU time of reclaiming, far from the limit", "at most 1 %", f"{percent(cpu_shares(far)[0])} %",
              cpu_shares(far)[0] <= 0.01)
    goals.add("CPU time of reclaiming, at the limit, 1 GiB/s", "at most 5 %", f"{percent(cpu_shares(near)[0])} %",
              cpu_shares(near)[0] <= 0.05)
    worst = max(worst_window(run) for run in part.values())
    goals.add("CPU time of reclaiming, any 2 s", "at most 20 %", f"{percent(worst)} %", worst <= 0.2)
    return [("CPU time of reclaiming", "", rows)]


def worst_window(run):
    return max(share for _, share in windows(run))


def report_callbacks(part, goals):
    first = [["growth MiB/s", "crossings", "to the call ms, median", "to freed ms, median", "to freed ms, longest"]]
    for rate, run in part["crossings"].items():
        begins, ends = zip(*crossings(run))
        first.append([str(rate), str(len(ends)), ms(sorted(begins)[len(begins) // 2]),
                      ms(sorted(ends)[len(ends) // 2]), ms(max(ends))])
    steady = [["growth MiB/s", "calls", "asked MiB", "freed / asked", "cache at least, % of the soft limit",
               "on average"]]
    for rate, run in part["steady"].items():
        steady.append([str(rate), str(len(run["calls"])), f"{sum(call['target'] for call in run['calls']) / MIB:.0f}",
                       f"{freed_to_asked(run):.3f}",
                       f"{run['live_min'] / run['soft'] * 100:.1f}", f"{run['live_mean'] / run['soft'] * 100:.1f}"])
    runs = [*part["crossings"].values(), *part["steady"].values()]
    worst = max(map(freed_to_asked, runs))
    goals.add("callbacks: freed against asked", "at most 1.25", f"{worst:.3f}", worst <= 1.25)
    return [("Callbacks: from crossing the soft limit", "A cache grows past the soft limit; from the first sample of "
             "the kernel's usage over the line (1 ms apart) to the call of its reclaimer, and to the end of that call.",
             first),
            ("Callbacks: a cache that only grows", "The lower the cache falls below the soft limit, the more was asked for "
             "than had to be.", steady)]


def report_costs(part, goals):
    sections = []
    for key, title, unit in (("rate", "Costs against growth rate", "wanted MiB/s"),
                             ("threads", "Costs against threads", "growing threads"),
                             ("limit", "Costs against heap size", "limit MiB")):
        rows = [[unit, "growth MiB/s", "reclaiming, ms a GiB grown", "% of one CPU", "purges", "overshoot MiB",
                 "p99.9 us", "longest us", "made to wait ms"]]
        for value, run in part[key].items():
            stalled = percentiles(both(run, "_own"), [0.999, 1])
            rows.append([str(value), f"{run['rate'] / MIB:.0f}", f"{per_gib(run):.1f}", percent(cpu_shares(run)[0]),
                         str(run["stats"][-1]["purges"]), mib(overshoot(run)), *map(us, stalled),
                         ms(run["stats"][-1]["throttle_ns"])])
        sections.append((title, "", rows))
    small, large = part["limit"][min(part["limit"])], part["limit"][max(part["limit"])]
    growth = per_gib(large) / max(per_gib(small), 1e-9)
    heaps = max(part["limit"]) / min(part["limit"])
    goals.add("cost of a GiB grown, largest heap against smallest", f"at most {heaps:.0f} times (the heaps' ratio)",
              f"{growth:.2f} times", growth <= heaps)
    return sections


def report_quota(part, goals):
    rows = [["", "peak MiB", "seconds", "peak, Plimsoll = 1", "time, Plimsoll = 1"]]
    ours = part["Plimsoll"]
    for kind, run in part.items():
        rows.append([kind, f"{run['peak_mib']:.0f}", f"{run['seconds']:.2f}", f"{run['peak_mib'] / ours['peak_mib']:.2f}",
                     f"{run['seconds'] / ours['seconds']:.2f}"])
    return [("16 threads on one CPU of 64", "The tests' workload under a quota of one CPU and no memory limit: 16 "
             "threads that change block sizes.", rows)]


REPORTS = {"overshoot": report_overshoot, "stalls": report_stalls, "cpu": report_cpu, "callbacks": report_callbacks,
           "costs": report_costs, "quota": report_quota}


def write(facts, results, failed, out):
    """Returns the exit status: 1 where a goal was missed. failed: parts that came to no result, and why."""
    os.makedirs(out, exist_ok=True)
    goals = Goals()
    for part, why in failed.items():
        goals.add(part, "a result", why, False)
    sections = [table for part, result in results.items() for table in REPORTS[part](result, goals)]
    sections.insert(0, ("Goals", "", goals.table()))
    plots = pressure_plots.draw(results, out)
    parts = ["# At the limit, measured", "\n".join(f"- {line}" for line in machine.lines(facts))]
    for title, text, rows in sections:
        parts += [part for part in (f"## {title}", text, tables.markdown(rows)) if part]
    parts += [f"![{plot}]({plot}.svg)" for plot in plots]
    plain = "\n\n".join("\n\n".join(part for part in (title, text, tables.text(rows)) if part)
                        for title, text, rows in sections)
    for name, content in (("results.md", "\n\n".join(parts) + "\n"),
                          ("results.txt", "\n".join(machine.lines(facts)) + f"\n\n{plain}\n"),
                          ("results.json", json.dumps(facts | {"goals": goals.all, "results": results}))):
        with open(f"{out}/{name}", "w") as file:
            file.write(content)
    print(f"\n{plain}\n\nWritten to {out}: results.txt, results.md, results.json, "
          f"{', '.join(f'{plot}.png, {plot}.svg' for plot in plots)}")
    if goals.missed():
        print(f"Missed: {'; '.join(goals.missed())}")
    return 1 if goals.missed() else 0
