"""Plimsoll from Python, by ctypes: copy this file next to yours.

    import plimsoll

    @plimsoll.reclaimer("answers")
    def drop_answers(pressure):
        return cache.shrink(pressure.target)     # the bytes let go

    plimsoll.check()                             # now and then, where your program takes memory

Works where the library is preloaded (plimsoll run, or LD_PRELOAD); elsewhere present() is false,
and a reclaimer is never called.

A reclaimer runs on the library's thread, or within check(). Lock what it shares with your threads,
as between any two threads; never hold such a lock over large allocations or check().

Python code needs the interpreter's lock, the GIL. A thread that waits in malloc for room holds it,
so the library's thread cannot run a reclaimer just when it is needed most. Nothing hangs: the wait
is bounded (300 ms once in ten seconds, otherwise 5 ms at a time, a second where there is no room at
all), then both go on. check() avoids this wait: it runs the reclaimers on the thread that calls it,
as soon as the soft limit is reached. Far from the limit it is one short call.

Objects up to 512 bytes are not in malloc memory but in Python's own arenas: they count in the
usage, and PYTHONMALLOC=malloc puts them under Plimsoll as well.
"""

import atexit
import ctypes
import errno
import gc
import os
import sys
import threading
import time

NORMAL, LOW, MEDIUM, CRITICAL = range(4)


class Pressure(ctypes.Structure):
    """What a reclaimer is told, struct plim_pressure of plimsoll.h; sizes are in bytes."""
    _fields_ = [("size", ctypes.c_size_t), ("level", ctypes.c_int), ("usage", ctypes.c_uint64),
                ("soft_limit", ctypes.c_uint64), ("hard_limit", ctypes.c_uint64),
                ("target", ctypes.c_uint64)]


class Stats(ctypes.Structure):
    """struct plim_stats."""
    _fields_ = [("size", ctypes.c_size_t), ("level", ctypes.c_int),
                ("cannot_meet_limit", ctypes.c_uint32)] + [
                    (name, ctypes.c_uint64) for name in (
                        "usage", "committed", "active", "looks", "purges", "purged_bytes",
                        "reclaimer_calls", "reclaimer_asked_bytes", "reclaimer_freed_bytes",
                        "reclaim_cpu_ns", "throttle_ns", "failed_requests", "watcher_wakeups")]


class Limits(ctypes.Structure):
    """struct plim_limits."""
    _fields_ = [("size", ctypes.c_size_t), ("cgroup_version", ctypes.c_uint32),
                ("cpus", ctypes.c_uint32), ("hard", ctypes.c_uint64), ("high", ctypes.c_uint64),
                ("soft", ctypes.c_uint64), ("path", ctypes.c_char * 256)]


_Function = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.POINTER(Pressure), ctypes.c_void_p)
# The symbols of everything that is loaded. PyDLL keeps the GIL during a call: for short calls. CDLL
# releases it: for calls that wait.
_short, _waits = ctypes.PyDLL(None), ctypes.CDLL(None)
_reclaimers = []  # (function, level from which it is called)
_checking = threading.Lock()
_next_check = 0  # until this time check() does nothing
_CHECK_SECONDS = 0.001


_loaded = hasattr(_short, "plim_level")


def _filled(struct, function):
    now = struct(size=ctypes.sizeof(struct))
    if not _loaded or getattr(_short, function)(ctypes.byref(now)) < 0:
        return struct()
    return now


def present():
    """Whether the library is there, and not off."""
    return stats().size > 0


def level():
    """NORMAL, LOW, MEDIUM or CRITICAL."""
    return _short.plim_level() if _loaded else NORMAL


def cpus():
    """The number of CPUs that can be used at once, for sizing pools of threads."""
    return _short.plim_cpus() if _loaded else len(os.sched_getaffinity(0))


def stats():
    """The current figures; all 0 without the library."""
    return _filled(Stats, "plim_stats")


def limits():
    """The limits found; all 0 without the library. Also brings the usage in stats() up to date."""
    return _filled(Limits, "plim_limits")


def _freed(function, pressure):
    """Runs a reclaimer. No exception may leave it, as its caller is C."""
    try:
        return max(0, int(function(pressure) or 0))
    except Exception:  # pylint: disable=broad-except
        print("plimsoll: a reclaimer failed:", file=sys.stderr)
        sys.excepthook(*sys.exc_info())
        return 0


def reclaimer(name, from_level=MEDIUM):
    """Decorator: the function is called with a Pressure whenever memory is short."""
    def register(function):
        if not present():
            return function
        call = _Function(lambda pressure, _: _freed(function, pressure.contents))
        number = _short.plim_reclaimer_add(name.encode(), call, None, from_level)
        is_off = number in (-errno.ENOSYS, -errno.ENOTSUP)  # in that case only check() calls it
        if number < 0 and not is_off:
            raise OSError(-number, f"plim_reclaimer_add: {os.strerror(-number)}")
        _reclaimers.append((function, from_level))
        if not is_off:
            # No call may come once the interpreter shuts down. Also keeps `call` alive until then.
            atexit.register(lambda call: _waits.plim_reclaimer_remove(number), call)
        return function
    return register


def check():
    """Runs the reclaimers on this thread if memory is short; returns the bytes freed."""
    global _next_check  # pylint: disable=global-statement
    if level() < MEDIUM or time.monotonic() < _next_check:
        return 0
    if not _checking.acquire(blocking=False):  # another thread runs them
        return 0
    try:
        return _pass()
    finally:
        _next_check = time.monotonic() + _CHECK_SECONDS
        _checking.release()


def _pass():
    soft, now, freed = limits().soft, stats(), 0
    above = now.usage - (now.committed - now.active) - soft  # free pages need no reclaimer
    target = above + soft // 20  # 5 % more, so that the next objects find room
    for function, from_level in list(_reclaimers):
        if above > 0 and from_level <= now.level and freed < target:
            freed += _freed(function, Pressure(level=now.level, usage=now.usage, soft_limit=soft,
                                               target=target - freed))
    return freed


def collect_garbage():
    """Has the cyclic collector run when memory is short: by itself it counts objects, not bytes."""
    @reclaimer("gc.collect")
    def _collect(_):
        before = stats().active
        gc.collect()
        return max(0, before - stats().active)
