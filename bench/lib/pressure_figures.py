"""What the runs of bench/pressure amount to. Pure: figures in, figures out."""
import bisect

MIB, SECOND = 1 << 20, 1_000_000_000
WINDOW = 2 * SECOND


def overshoot(run):
    """Bytes of the highest usage that the kernel counted over the soft limit; negative: it stayed below."""
    return run["peak"] - run["soft"]


def overshoot_allowed(run):
    return max(run["limit"] // 50, 16 * MIB)


def room(run):
    """The least that was left for free pages below the soft limit; above 0, purging alone could keep the limit."""
    return min(run["soft"] - stat["active"] for stat in run["stats"])


def time_over(run):
    """Share of samples over the soft limit."""
    return sum(usage > run["soft"] for _, usage in run["samples"]) / max(len(run["samples"]), 1)


def merged(histograms):
    counts = {}
    for histogram in histograms:
        for ns, count in histogram["counts"]:
            counts[ns] = counts.get(ns, 0) + count
    return {"longest": max(h["longest"] for h in histograms), "counts": sorted(counts.items())}


def percentiles(histogram, shares):
    """Nanoseconds that the given shares of calls stay within; 1 stands for all."""
    total, seen, at, result = sum(count for _, count in histogram["counts"]), 0, 0, []
    for share in shares:
        while at < len(histogram["counts"]) and seen + histogram["counts"][at][1] < share * total:
            seen += histogram["counts"][at][1]
            at += 1
        last = share >= 1 or at == len(histogram["counts"])
        result.append(histogram["longest"] if last else histogram["counts"][at][0])
    return result


def curve(histogram):
    """(1 / share of slower calls, ns): for a plot with one decade for each further nine (90 %, 99 %, 99.9 %)."""
    total, seen = sum(count for _, count in histogram["counts"]), 0
    for ns, count in histogram["counts"]:
        yield total / (total - seen), ns
        seen += count


def both(run, kind):
    """The histograms of malloc and free merged into one."""
    return merged([run["histograms"][f"malloc{kind}"], run["histograms"][f"free{kind}"]])


def cpu_share(first, last):
    """Reclaiming as a share of one CPU, and of the CPU time that the process used."""
    reclaim = last["reclaim_ns"] - first["reclaim_ns"]
    return reclaim / max(last["ns"] - first["ns"], 1), reclaim / max(last["cpu_ns"] - first["cpu_ns"], 1)


def cpu_shares(run):
    return cpu_share(run["stats"][0], run["stats"][-1])


def windows(run):
    """(end in seconds, share of one CPU) of every WINDOW; of the whole run where that is shorter."""
    stats = run["stats"]
    times = [stat["ns"] for stat in stats]
    if times[-1] - times[0] <= WINDOW:
        return [((times[-1] - times[0]) / SECOND, cpu_share(stats[0], stats[-1])[0])]
    return [((end["ns"] - times[0]) / SECOND, cpu_share(stats[bisect.bisect_right(times, end["ns"] - WINDOW) - 1], end)[0])
            for end in stats if end["ns"] - times[0] >= WINDOW]


def crossings(run):
    """For each first call after a rest: ns from the first sample over the line to the call's begin and end.

    Usage rests well below the line before that, so the search goes back to the last sample below it."""
    result, samples, before = [], run["samples"], 0
    times = [ns for ns, _ in samples]
    for call in run["calls"]:
        if call["begin"] - before > SECOND // 2:
            at = bisect.bisect_left(times, call["end"])
            over = None
            for ns, usage in reversed(samples[max(at - 200, 0):at]):
                if usage < run["soft"]:
                    break
                over = ns
            # The call may begin between two samples: it then took less than their distance.
            over = over if over and over < call["begin"] else call["begin"]
            result.append((call["begin"] - over, call["end"] - over))
        before = call["end"]
    return result


def freed_to_asked(run):
    return sum(call["freed"] for call in run["calls"]) / sum(call["target"] for call in run["calls"])


def per_gib(run):
    """Milliseconds of reclaiming for each GiB of growth."""
    reclaim = run["stats"][-1]["reclaim_ns"] - run["stats"][0]["reclaim_ns"]
    return reclaim / 1e6 / (run["grown"] / (1 << 30))
