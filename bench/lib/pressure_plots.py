"""The plots of bench/pressure, each as PNG and SVG, by gnuplot."""
import subprocess

from pressure_figures import SECOND, both, cpu_shares, curve, merged, overshoot, per_gib, windows

MIB = 1 << 20
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]


def series(path, points):
    with open(path, "w") as file:
        file.writelines("\t".join(f"{value:.6g}" for value in point) + "\n" for point in points)
    return path


def gnuplot(out, name, panels, columns=1, width=1100):
    rows = -(-len(panels) // columns)
    for terminal, suffix in (("pngcairo font 'DejaVu Sans,12'", "png"), ("svg font 'DejaVu Sans,14' background 'white'", "svg")):
        script = f"""
set terminal {terminal} size {width},{400 * rows}
set output '{out}/{name}.{suffix}'
set grid ytics lc rgb '#dddddd' lt 1
set border 3
set tics nomirror out
set key outside right center Left reverse spacing 1.5 samplen 2
set multiplot layout {rows},{columns}
{''.join(panels)}
unset multiplot
"""
        subprocess.run(["gnuplot"], input=script, text=True, check=True)


def lines(curves, style="lines lw 2"):
    return ", ".join(f"'{path}' with {style} lc rgb '{COLOURS[i % len(COLOURS)]}' title '{title}'"
                     for i, (title, path) in enumerate(curves))


def draw_overshoot(part, out):
    run = max(part["runs"], key=overshoot)
    start = run["samples"][0][0]
    path = series(f"{out}/overshoot.tsv", [((ns - start) / SECOND, usage / MIB) for ns, usage in run["samples"]])
    active = series(f"{out}/overshoot-live.tsv", [((stat["ns"] - start) / SECOND, stat["active"] / MIB)
                                                  for stat in run["stats"]])
    soft, hard = run["soft"] / MIB, run["limit"] / MIB
    gnuplot(out, "overshoot", [f"""
set title "Growth of 1 GiB/s among free pages, limit {hard:.0f} MiB"
set xlabel "seconds"
set ylabel "MiB"
set yrange [0:{hard * 1.08}]
plot {hard} with lines lw 2 dt 2 lc rgb 'black' title 'hard limit', \
{soft} with lines lw 2 dt 3 lc rgb 'black' title 'soft limit', \
{lines([("usage, 1000 a second", path), ("pages in use", active)])}
"""])


def draw_stalls(part, out):
    curves = []
    for kind, runs in part.items():
        histogram = merged([both(run, "_own") for run in runs])
        name = kind.lower().replace(",", "").replace(" ", "-")
        curves.append((kind, series(f"{out}/stalls-{name}.tsv", [(x, ns / 1000) for x, ns in curve(histogram)])))
    nothing = merged([run["histograms"]["nothing"] for run in part["Plimsoll, at the limit"]])
    curves.append(("the machine, at the limit",
                   series(f"{out}/stalls-nothing.tsv", [(x, ns / 1000) for x, ns in curve(nothing)])))
    gnuplot(out, "stalls", [f"""
set title "Duration of malloc and free, by share of calls"
set xlabel "percentile"
set ylabel "microseconds"
set logscale xy
set xrange [1:1e8]
set yrange [0.01:*]
set xtics ("0" 1, "90" 10, "99" 1e2, "99.9" 1e3, "99.99" 1e4, "99.999" 1e5, "6 nines" 1e6, "7 nines" 1e7)
plot 1000 with lines dt 2 lc rgb 'black' title 'goal for p99.9', {lines(curves)}
"""])


def draw_cpu(part, out):
    curves = []
    for kind, run in part.items():
        name = kind.lower().replace(",", "").replace(" ", "-").replace("/", "-")
        curves.append((kind, series(f"{out}/cpu-{name}.tsv", [(at, share * 100) for at, share in windows(run)])))
    gnuplot(out, "cpu", [f"""
set title "CPU time of reclaiming over the last 2 s"
set xlabel "seconds"
set ylabel "% of one CPU"
set yrange [0:22]
plot 20 with lines dt 2 lc rgb 'black' title 'goal, any 2 s', 5 with lines dt 3 lc rgb 'black' title 'goal, sustained', \
{lines(curves)}
"""])


def draw_costs(part, out):
    panels = []
    for key, label in (("rate", "growth, MiB/s"), ("threads", "growing threads"), ("limit", "limit, MiB")):
        points = [(run["rate"] / MIB if key == "rate" else value, per_gib(run), cpu_shares(run)[0] * 100)
                  for value, run in part[key].items()]
        path = series(f"{out}/costs-{key}.tsv", sorted(points))
        panels.append(f"""
set xlabel "{label}"
set ylabel "ms a GiB"
set y2label "%"
set logscale x 2
set yrange [0:100]
set y2range [0:10]
set y2tics
plot '{path}' using 1:2 with linespoints lw 2 pt 7 lc rgb '{COLOURS[0]}' title 'reclaiming, ms a GiB grown', \
'{path}' using 1:3 axes x1y2 with linespoints lw 2 pt 7 lc rgb '{COLOURS[1]}' title 'reclaiming, % of one CPU'
""")
    gnuplot(out, "costs", panels)


def draw_quota(part, out):
    path = f"{out}/quota.tsv"
    with open(path, "w") as file:
        file.writelines(f'"{kind}"\t{run["peak_mib"]:.1f}\t{run["seconds"]:.3f}\n' for kind, run in part.items())
    panels = [f"""
set title "16 threads on one CPU of 64: {label}"
set ylabel "{label}"
set yrange [0:*]
set style fill solid
set boxwidth 0.6
unset key
plot '{path}' using 0:{column}:xtic(1) with boxes lc rgb '{COLOURS[column - 2]}'
""" for column, label in ((2, "peak MiB"), (3, "seconds"))]
    gnuplot(out, "quota", panels)


DRAW = {"overshoot": draw_overshoot, "stalls": draw_stalls, "cpu": draw_cpu, "costs": draw_costs, "quota": draw_quota}


def draw(results, out):
    """Returns the names of the plots."""
    names = [part for part in results if part in DRAW]
    for part in names:
        DRAW[part](results[part], out)
    return names
