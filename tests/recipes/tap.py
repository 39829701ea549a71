"""For the tests of the recipes: TAP."""

import os
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap_report import Skip, Tap, equal, holds  # pylint: disable=wrong-import-position,unused-import

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RECIPES = os.path.join(ROOT, "docs", "recipes")


def run_all(namespace, tap=None):
    tap = tap or Tap()
    tap.run_all([test for name, test in list(namespace.items()) if name.startswith("test_")])
    tap.finish()


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)
