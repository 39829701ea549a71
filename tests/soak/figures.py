"""What a soak has found, as figures and as sentences."""

from collections import Counter

KIB, MIB = 1 << 10, 1 << 20
# Anonymous memory that belongs neither to the heap nor to jemalloc itself: stacks of up to 17
# threads, none touched by more than this, and the libraries' own data.
STACK, THREADS, DATA = 64 * KIB, 18, MIB
OTHER = STACK * THREADS + DATA
# What may stay allocated with nothing live. Each of up to 16 threads that have ended leaves the C
# library's table of its thread-local storage, some 300 bytes; and the library may have up to three
# more threads of its own, with 24 KiB for their caches (the soak waits until these are empty).
LEAK = 128 * KIB


class Figures:
    """Filled while the soak runs."""

    def __init__(self, seed):
        self.seed, self.seconds, self.kills = seed, 0.0, 0
        self.deaths, self.beside, self.sum = [], Counter(), Counter()
        self.longest = {kind: Counter() for kind in ("free", "starved")}
        self.raised, self.lowered, self.lowered_most, self.refused_limits = 0, 0, 0, 0
        self.first_quiet, self.quiet_growth, self.quiet_committed = None, 0, 0
        self.first_classes, self.grown = Counter(), ""
        self.over, self.under, self.compared_count = None, None, 0

    def started(self):
        """A new program: what it holds with nothing live is not known yet."""
        self.first_quiet = None
        self.last = Counter()

    def died(self, why, status):
        self.deaths.append(f"{why}; exit status {status}")

    def limit_moved(self, before, after, done):
        self.raised += after > before
        self.lowered += after < before
        self.refused_limits += not done
        self.lowered_most = max(self.lowered_most, before - after)

    def compared(self, anonymous, before, after):
        """Called while all threads stand still; the library's own may purge between the readings."""
        committed = max(before["committed"], after["committed"])
        over = anonymous - committed - before["metadata"]
        under = min(before["written"], after["written"]) - anonymous
        self.over = over if self.over is None else max(self.over, over)
        self.under = under if self.under is None else max(self.under, under)
        self.compared_count += 1

    def phase_ended(self, starved, ended, quiet, classes):
        kind = "starved" if starved else "free"
        for name, value in ended.items():
            if name.endswith("longest_ns"):
                self.longest[kind][name] = max(self.longest[kind][name], value)
            elif name.startswith("over_"):
                self.longest[kind][name] += value
            elif name != "wrong":
                self.sum[name] += value
        self.longest[kind]["phases"] += 1
        self.longest[kind]["calls"] += ended["calls"]
        since_start = {"wrong": ended["wrong"], **{name: quiet[name] for name in (
            "throttle_ns", "reclaim_cpu_ns", "looks", "purges", "reclaimer_calls",
            "reclaimer_freed")}}
        for name, value in since_start.items():
            self.sum[name] += value - self.last[name]
            self.last[name] = value
        self.sum["cannot"] += quiet["cannot"]
        self.quieted(quiet, classes)
        self.quiet_committed = max(self.quiet_committed, quiet["committed"] - quiet["allocated"])

    def quieted(self, quiet, classes):
        """Where more is allocated than ever before, keeps what that is: later it cannot be seen."""
        if self.first_quiet is None:
            self.first_quiet, self.first_classes = quiet["allocated"], Counter(classes)
        growth = quiet["allocated"] - self.first_quiet
        if growth > self.quiet_growth:
            more = Counter(classes)
            more.subtract(self.first_classes)
            self.quiet_growth = growth
            self.grown = f"{quiet['cached']} in threads' caches; by size of block: " + ", ".join(
                f"{size}: {held}" for size, held in more.items() if held)

    # --- what came out ---

    def checks(self):
        """(what must hold, what is wrong about it or None)"""
        def unless(good, text):
            return None if good else text

        ended = ": " + "; ".join(self.deaths) if self.deaths else ""
        yield "the kernel kills nothing", unless(self.kills == 0, f"{self.kills} were killed")
        yield "the program runs to the end", unless(not self.deaths, f"it ended{ended}")
        yield "every byte is as it was written", unless(
            self.sum["wrong"] == 0, f"{self.sum['wrong']} checks failed")
        yield "forked children find their memory whole", unless(
            self.sum["failed_children"] == 0, f"{self.sum['failed_children']} children failed")
        yield "every request is served", unless(
            self.sum["refused"] == 0, f"{self.sum['refused']} were refused")
        yield "the kernel counts no more than the library and jemalloc do", unless(
            (self.over or 0) <= OTHER, f"{self.over} bytes more, {OTHER} is what else there is")
        yield "the kernel counts all that was written", unless(
            (self.under or 0) <= 0, f"{self.under} bytes less")
        yield "nothing is left allocated", unless(
            self.quiet_growth <= LEAK,
            f"{self.quiet_growth} bytes more than after the first phase, {self.grown}")

    def summary(self):
        return {
            "seconds": round(self.seconds, 1), "seed": self.seed,
            "phases": {kind: self.longest[kind]["phases"] for kind in self.longest},
            "operations": self.sum["operations"], "calls": self.sum["calls"],
            "oom_kills": self.kills, "program_ended_early": len(self.deaths),
            "wrong_checks": self.sum["wrong"], "refused_requests": self.sum["refused"],
            "forks": self.sum["forks"], "failed_children": self.sum["failed_children"],
            "limit_raised": self.raised, "limit_lowered": self.lowered,
            "limit_lowered_most_bytes": self.lowered_most,
            "limit_not_accepted_by_the_kernel": self.refused_limits,
            "beside": dict(self.beside),
            "pauses": {kind: {name: value for name, value in sorted(counts.items())}
                       for kind, counts in self.longest.items()},
            "drift": {"compared": self.compared_count, "kernel_over_bytes": self.over,
                      "kernel_over_bound_bytes": OTHER, "kernel_under_written_bytes": self.under},
            "quiet_growth_bytes": self.quiet_growth, "quiet_growth_bound_bytes": LEAK,
            "quiet_committed_over_allocated_bytes": self.quiet_committed,
            "looks": self.sum["looks"], "purges": self.sum["purges"],
            "reclaimer_calls": self.sum["reclaimer_calls"],
            "reclaimer_freed_bytes": self.sum["reclaimer_freed"],
            "reclaim_cpu_seconds": round(self.sum["reclaim_cpu_ns"] / 1e9, 2),
            "throttle_seconds": round(self.sum["throttle_ns"] / 1e9, 2),
            "phases_that_could_not_meet_the_limit": self.sum["cannot"],
        }

    def text(self):
        s = self.summary()
        rows = [
            ("time, seed", f"{s['seconds'] / 60:.1f} min, {s['seed']}"),
            ("phases (without, with a CPU quota)", "{free}, {starved}".format(**s["phases"])),
            ("calls of the malloc family, timed", f"{s['calls']:,}"),
            ("processes killed by the kernel", s["oom_kills"]),
            ("program ended early", s["program_ended_early"]),
            ("wrong bytes (checks that failed)", s["wrong_checks"]),
            ("requests refused", s["refused_requests"]),
            ("forks, children that failed", f"{s['forks']}, {s['failed_children']}"),
            ("limit raised, lowered", f"{s['limit_raised']}, {s['limit_lowered']}"),
            ("lowered at once by", f"{self.lowered_most >> 20} MiB at most"),
            ("beside it: " + ", ".join(sorted(s["beside"])),
             ", ".join(str(s["beside"][k]) for k in sorted(s["beside"])) + " times"),
        ]
        for kind, name in (("free", "without"), ("starved", "with")):
            p = self.longest[kind]
            rows += [(f"longest call {name} a quota", f"{p['longest_ns'] / 1e6:.0f} ms"),
                     (f"longest reading of a block {name} a quota",
                      f"{p['reading_longest_ns'] / 1e6:.0f} ms"),
                     (f"calls over 10 ms, over 100 ms {name} a quota",
                      f"{p['over_10ms']}, {p['over_100ms']} of {p['calls']:,}")]
        over, under = (("not compared",) * 2 if self.over is None else
                       (f"{self.over / KIB:.0f} KiB at most, of {OTHER // KIB} allowed",
                        f"{-self.under / KIB:.0f} KiB at least"))
        rows += [
            ("kernel's count over committed and metadata", over),
            ("kernel's count over what was written", under),
            ("times compared", s["drift"]["compared"]),
            ("allocated more than after the first phase, nothing live",
             f"{self.quiet_growth / KIB:.0f} KiB at most, of {LEAK // KIB} allowed"),
            ("committed over allocated, nothing live", f"{self.quiet_committed / KIB:.0f} KiB at most"),
            ("looks, purges, calls of the reclaimer",
             f"{s['looks']:,}, {s['purges']:,}, {s['reclaimer_calls']:,}"),
            ("CPU time for reclaiming", f"{s['reclaim_cpu_seconds']:.1f} s"),
            ("threads made to wait, summed", f"{s['throttle_seconds']:.1f} s"),
            ("phases that could not meet the limit", s["phases_that_could_not_meet_the_limit"]),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
