"""Waits for what must come about, however slow the machine."""

import time

PATIENCE = 60   # seconds


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE} s: {what}")
        time.sleep(0.02)
