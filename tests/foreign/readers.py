"""Read what test programs write: {test: "passed", "skipped" or "failed"}."""

import re
import xml.etree.ElementTree
from collections import Counter

TAP = re.compile(r"\s*(not )?ok\b\s*\d*\s*-?\s*([^#]*)(?:#\s*(skip|todo)?.*)?", re.I)
# Only lines that are not indented: a subtest's are part of a test. "\#" does not begin a directive.
NUMBERED_TAP = re.compile(r"(not )?ok\b *(\d*)(?:\\.|[^#\\])*(?:#\s*(skip|todo)?.*)?", re.I)
SEED = re.compile(r"seed:\d+")  # a random number, another one in each run
COLOUR = re.compile(r"\x1b\[[\d;]*m")
REDIS = re.compile(r"\[(ok|err|ignore|skip|exception)\]: (.*?)(?: \(\d+ ms\))?")
REDIS_SAYS = {"ok": "passed", "err": "failed", "exception": "failed"}


class Results(dict):
    """Results by test name; tests may share a name."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def add(self, name, value):
        self.names[name] += 1
        count = self.names[name]
        self[name if count == 1 else f"{name} ({count})"] = value


def tap_says(match):
    return "skipped" if match[3] else "failed" if match[1] else "passed"


def read_tap(text, _work):
    results = Results()
    for line in text.splitlines():
        match = TAP.fullmatch(line)
        if match:
            results.add(SEED.sub("seed:N", match[2].strip()), tap_says(match))
    return results


def read_numbered_tap(text, _work):
    """Reads Perl's own tests, by number: their names hold addresses, times and process ids."""
    results = Results()
    for line in text.splitlines():
        match = NUMBERED_TAP.fullmatch(line)
        if match:
            results.add(match[2], tap_says(match))
    return results


def read_junit(_text, work):
    """Reads what Python's own runner writes."""
    results = Results()
    try:
        root = xml.etree.ElementTree.parse(f"{work}/junit.xml").getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return results
    for case in root.iter("testcase"):
        kinds = {child.tag for child in case}
        what = ("failed" if kinds & {"failure", "error"} else
                "skipped" if "skipped" in kinds else "passed")
        results.add(case.get("name"), what)
    return results


def read_redis(text, _work):
    """Reads what runtest of Redis writes: "[ok]: NAME (12 ms)", "[err]: NAME in FILE"."""
    results = Results()
    for line in COLOUR.sub("", text).splitlines():
        match = REDIS.fullmatch(line)
        if match:
            results.add(re.sub(r" in tests/\S+$", "", match[2]),
                        REDIS_SAYS.get(match[1], "skipped"))
    return results


READERS = {"tap": read_tap, "numbered tap": read_numbered_tap, "junit": read_junit,
           "redis": read_redis}
