"""Which limit to run next, so as to find the smallest that a program survives. Pure: runs in, a decision out.

A run is a dict with limit_mib (None: no limit), outcome and peak_mib. Every run counts: the answer is the smallest
limit at and above which no run failed, with enough runs at it. So a limit that failed once is never an answer, and a
search may be stopped, resumed, and asked for more runs later."""

STEP = 4            # MiB
ROOMY = 1.25        # times the smallest limit: programs are measured there as well
PATIENCE = 5        # times the seconds without a limit, and
GRACE = 10          # seconds more: a run that takes longer has not survived
HOPELESS = 3        # times the peak without a limit: where the search ends


def survived(run):
    return run["outcome"] == "survived"


def at(runs, limit):
    return [run for run in runs if run["limit_mib"] == limit]


def round_up(mib, step=STEP):
    return -int(-mib // step) * step


def bracket(runs):
    """The largest limit with a failed run (0: none yet), and the smallest above it that was survived, or None."""
    failed = max((run["limit_mib"] for run in runs if run["limit_mib"] and not survived(run)), default=0)
    good = min((run["limit_mib"] for run in runs if (run["limit_mib"] or 0) > failed and survived(run)), default=None)
    return failed, good


def peak_free(runs):
    return max((run["peak_mib"] for run in at(runs, None) if survived(run)), default=None)


def smallest(runs, wanted):
    """The answer in MiB, or None while it is open or where there is none."""
    failed, good = bracket(runs)
    if good is None or good - failed > STEP or len(at(runs, good)) < wanted:
        return None
    return good


def roomy(limit):
    return round_up(limit * ROOMY)


def hopeless(runs):
    """Whether nothing survives: not even without a limit, or not with far more than the peak."""
    peak = peak_free(runs)
    if peak is None:
        return bool(at(runs, None))
    return bracket(runs)[0] > HOPELESS * peak


def next_limit(runs, wanted):
    """The next run: ("free", None) without a limit; ("limit", MiB) at that limit; ("done", None): no more."""
    if hopeless(runs):
        return "done", None
    if not at(runs, None):
        return "free", None
    failed, good = bracket(runs)
    top = round_up(peak_free(runs))
    if good is None and failed >= top:      # it needs more than without a limit: larger and larger steps
        return "limit", round_up(failed + STEP + (failed - top))
    good = good or top
    if good - failed > STEP:
        return "limit", round_up((failed + good - STEP) / 2)
    shown = (good, roomy(good), None)       # in turns, as their times are compared and the machine changes
    limit = min(shown, key=lambda limit: len(at(runs, limit)))
    if len(at(runs, limit)) >= wanted:
        return "done", None
    return ("limit", limit) if limit else ("free", None)
