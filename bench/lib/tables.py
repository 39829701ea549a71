"""Tables as text and as Markdown, and what gnuplot draws: shared by the reports."""
import subprocess

COLOURS = {"glibc": "#E69F00", "jemalloc": "#D55E00", "jemalloc-tuned": "#56B4E9", "tcmalloc": "#009E73",
           "mimalloc": "#CC79A7", "Plimsoll": "#0072B2"}


def text(rows, left=1):
    """The first row is the heading; the first `left` columns are aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  " + "  ".join(cell.ljust(w) if i < left else cell.rjust(w)
                                      for i, (cell, w) in enumerate(zip(cells, widths))).rstrip() for cells in rows)


def markdown(rows, left=1):
    rule = ["---" if i < left else "--:" for i in range(len(rows[0]))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [rows[0], rule, *rows[1:]])


def draw(path, size, commands):
    """Writes path.png and path.svg; size in pixels."""
    for terminal, suffix in ((f"pngcairo size {size[0]},{size[1]} font 'DejaVu Sans,12'", "png"),
                             (f"svg size {size[0]},{size[1]} font 'DejaVu Sans,14' background 'white'", "svg")):
        script = f"set terminal {terminal}\nset output '{path}.{suffix}'\n{commands}\n"
        subprocess.run(["gnuplot"], input=script, text=True, check=True)


def usage_panel(series, limit, prefix, heading):
    """gnuplot commands: usage over time against a limit in MiB. series: (name, label, run) of each allocator; a
    cross shows where it was killed. Writes its data to files that begin with prefix."""
    curves, crosses, end = [], [], 0
    for name, label, run in series:
        path = f"{prefix}-{name.lower()}.tsv"
        killed = [(run["killed_at"], limit)] if run["killed_at"] is not None else []
        with open(path, "w") as file:
            file.writelines(f"{seconds:.3f}\t{mib:.2f}\n" for seconds, mib in [*run["samples"], *killed])
        width, colour = 3 if name == "Plimsoll" else 2, COLOURS.get(name.removesuffix("-tuned"), "#999999")
        curves.append(f"'{path}' with lines lw {width} lc rgb '{colour}' title '{label}'")
        end = max(end, run["seconds"])
        if killed:
            crosses.append(f"'{path}' every ::{len(run['samples'])} with points pt 2 ps 1.6 lw 3 lc rgb '{colour}' notitle")
    return f"""
set title "{heading}" font ",15" noenhanced
set xrange [0:{end * 1.02}]
set yrange [0:{limit * 1.15}]
set label 1 "limit {limit} MiB" at graph 0.99, first {limit * 1.06} right
plot {limit} with lines dt 2 lw 2 lc rgb 'black' notitle, {', '.join(curves + crosses)}
"""


def draw_usage(path, panels, width=1100):
    """Draws the panels one above the other."""
    draw(path, (width, 380 * len(panels)), f"""
set lmargin at screen 0.08
set rmargin at screen 0.59
set key at screen 0.985, graph 0.6 right center Left reverse spacing 1.6 samplen 2 noenhanced
set grid ytics lc rgb '#dddddd' lt 1
set border 3
set tics nomirror out
set xlabel "seconds"
set ylabel "memory usage, MiB"
set multiplot layout {len(panels)},1
{''.join(panels)}
unset multiplot
""")


def listing(names):
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
