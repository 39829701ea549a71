"""A Python thread waits in malloc and holds the interpreter's lock, which the callback needs.

As a program, gil.py is that thread, in a cgroup; as a module, it is the case that runs it.
"""

import collections
import itertools
import os
import shutil
import sys
import time

MIB = 1 << 20


def workload():
    import plimsoll  # pylint: disable=import-outside-toplevel,import-error
    cache = collections.deque()

    @plimsoll.reclaimer("cache")
    def _shrink(pressure):
        freed = 0
        while cache and freed < pressure.target:
            freed += len(cache.popleft())
        return freed

    hard = plimsoll.limits().hard
    while plimsoll.limits().hard and plimsoll.stats().usage < hard // 2:
        cache.append(b"x" * 100000)
    full, calls = len(cache), plimsoll.stats().reclaimer_calls
    # A single call of C code, during which the lock cannot change hands, takes usage to 2 MiB below
    # the limit, far into critical.
    count = (hard - plimsoll.stats().usage - 2 * MIB) // 102400  # a block touches whole pages
    blocks = list(map(bytearray, itertools.repeat(b"y" * 100000, count)))
    waited = plimsoll.stats().throttle_ns
    # Python code runs again: now the callback must get the lock.
    end = time.monotonic() + 60
    while len(cache) == full and time.monotonic() < end:
        time.sleep(0.01)
    print(f"blocks={len(blocks)} kept={len(cache)} full={full} waited_ns={waited} calls={calls}")


def goes_on():
    from common import Box, Workplace, numbers, paths  # pylint: disable=import-outside-toplevel
    with Box(128) as box, Workplace("python", library=paths["library"], box=box) as place:
        shutil.copy(__file__, place.work)
        out = place.run("python3", "gil.py", timeout=120).decode()
        got = numbers(out)
        assert box.kills() == 0 and got["calls"] == 0 and got["blocks"] > 300, out
        assert got["waited_ns"] > 0, f"the case was not met: {out}"
        assert 0 < got["kept"] < got["full"], out


def cases():
    yield "a callback that waits for Python's lock and a thread that waits with it go on", goes_on


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    workload()
