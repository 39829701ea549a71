"""TAP, as all tests in Python print it."""

import os
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap_report import Skip, Tap  # pylint: disable=wrong-import-position,unused-import
