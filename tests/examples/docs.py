"""Whether what docs/languages.md quotes is in the examples, and every example is listed."""

import glob
import os
import re

from common import paths

BLOCK = re.compile(r"^```\w* (examples/\S+|\.\./include/\S+)\n(.*?)^```$", re.M | re.S)


def lines(text):
    return [line.strip() for line in text.splitlines()]


def quoted_parts(text):
    """Splits a quotation at lines of dots, which stand for what is left out."""
    return [part for part in re.split(r"^\s*(?://|#|--|/\*)? ?\.\.\.(?: \*/)?$", text, flags=re.M)]


def read(*names):
    with open(os.path.join(paths["docs"], *names), encoding="utf-8") as file:
        return file.read()


def is_in(part, whole):
    wanted, have = [line for line in lines(part) if line], [line for line in lines(whole) if line]
    return any(have[i:i + len(wanted)] == wanted for i in range(len(have) - len(wanted) + 1))


def quotes():
    blocks = BLOCK.findall(read("languages.md"))
    assert len(blocks) >= 8, [name for name, _ in blocks]
    for name, text in blocks:
        for part in quoted_parts(text):
            assert is_in(part, read(name)), f"not in {name}:\n{part}"


def listed():
    table = read("examples", "README.md")
    for path in glob.glob(os.path.join(paths["docs"], "examples", "*", "*.*")):
        name = os.path.relpath(path, os.path.join(paths["docs"], "examples"))
        if os.path.basename(name) != "go.mod":
            assert f"]({name})" in table, f"examples/README.md does not list {name}"
    for name in re.findall(r"\]\(([^)#:]+)\)", table):
        assert os.path.exists(os.path.join(paths["docs"], "examples", name)), name


def cases():
    yield "languages.md quotes what is in the examples", quotes
    yield "every example is listed", listed
