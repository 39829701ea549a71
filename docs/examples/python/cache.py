"""A cache and the cyclic garbage collector, both run by memory pressure.
  Run:   plimsoll run -m 128Mi -- python3 cache.py
--no-reclaimer shows what happens without one: the kernel kills the program.
"""

import collections
import sys

import plimsoll


class Cache:
    """The newest answers, as many as there is room for."""

    def __init__(self):
        self.entries = collections.OrderedDict()

    # shrink() may run on another thread at any moment, so each step here is sound by itself.
    def get(self, key):
        value = self.entries.get(key)
        if value is None:
            plimsoll.check()  # memory is taken here: first see whether there is some
            value = self.entries[key] = b"x" * 20000  # worked out at great cost
        return value

    def shrink(self, target):
        freed = 0
        while freed < target and self.entries:
            freed += len(self.entries.popitem(last=False)[1])
        return freed


class Page:
    """Refers to itself through its child, so that only the collector frees it."""

    def __init__(self):
        self.text = "x" * 200000
        self.child = [self]


def main():
    cache, dropped = Cache(), 0
    if "--no-reclaimer" not in sys.argv:
        plimsoll.collect_garbage()  # comes first, as it drops no answers

        @plimsoll.reclaimer("answers")
        def drop_answers(pressure):
            nonlocal dropped
            freed = cache.shrink(pressure.target)
            dropped += freed
            return freed

    for key in range(15000):
        cache.get(key)
        if key % 10 == 0:
            Page()
    print(f"cached_mib={sum(map(len, cache.entries.values())) >> 20} dropped_mib={dropped >> 20}"
          f" level={plimsoll.level()}"
          f" waited_ms={plimsoll.stats().throttle_ns // 1000000}")


main()
