"""The commands of docs/install.md, for tests to run verbatim."""

import re

from tap import read

PAGE = "docs/install.md"


def block(heading, number=1, language="sh"):
    """The number-th fenced block of that language below a heading of the page."""
    for section in re.split(r"^## ", read(PAGE), flags=re.M)[1:]:
        if section.startswith(heading + "\n"):
            blocks = re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.M | re.S)
            if len(blocks) < number:
                raise AssertionError(f"{PAGE} has {len(blocks)} {language} blocks below {heading!r}")
            return blocks[number - 1]
    raise AssertionError(f"{PAGE} has no heading {heading!r}")
