"""Tests c/service.c: it sheds load, tells its readiness without allocating, and drains."""

import contextlib
import http.client
import os
import signal
import subprocess

from common import Box, Skip, Workplace, controller, numbers, paths, wait_until

MIB = 1 << 20
LIMIT_MIB = 192
C_FLAGS = "-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror"
BALLAST = """
import sys
held = bytearray()
for line in sys.stdin:
    held = None
    held = bytearray(b"x") * int(line)
    print("held", flush=True)
"""


def answer(port, path, connection=None):
    """(status, headers, text)"""
    used = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    used.request("GET", path)
    got = used.getresponse()
    text = got.read().decode()
    if not connection:
        used.close()
    return got.status, got.headers, text


class Service:
    """The service, built and started; use as a context."""

    def __init__(self, box=None, library=None, env=None):
        self.place = Workplace("c", box=box, library=library)
        self.env = env or {}

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.place.__enter__()
            stack.callback(self.place.__exit__)
            self.place.build("service.c", C_FLAGS)
            self.place.env.update(self.env)
            self.process = self.place.start("./service", "0", "0", stdout=subprocess.PIPE)
            stack.callback(self.end)
            self.told = numbers(self.process.stdout.readline().decode())
            self.port, self.probe_port = self.told["port"], self.told["probe_port"]
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def ready(self):
        return answer(self.probe_port, "/ready")[0]

    def work(self):
        return answer(self.port, "/work?mib=1&ms=0")


class Ballast:
    """Another process in the box, which holds as much as it is told."""

    def __init__(self, box):
        self.box = box

    def __enter__(self):
        self.process = subprocess.Popen(self.box.inside(["python3", "-c", BALLAST]), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.hold(0)
        self.base = in_use(self.box)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def hold(self, size):
        self.process.stdin.write(f"{size}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "held\n"

    def fill_to(self, percent):
        """Makes the box use that much of its limit."""
        self.hold(max(0, LIMIT_MIB * MIB * percent // 100 - self.base))


def in_use(box):
    """Usage as the library counts it: without page cache that the kernel drops by itself."""
    name = "memory.usage_in_bytes" if box.version == 1 else "memory.current"
    with open(f"{box.path}/{name}", encoding="utf-8") as file:
        usage = int(file.read())
    with open(f"{box.path}/memory.stat", encoding="utf-8") as file:
        stat = dict(line.split() for line in file)
    total = "total_" if box.version == 1 else ""
    return usage - int(stat[f"{total}inactive_file"]) - int(stat[f"{total}active_file"])


def sheds():
    with Box(LIMIT_MIB) as box, Service(box, paths["library"]) as service, Ballast(box) as ballast:
        assert service.ready() == 200 and service.work()[0] == 200
        ballast.fill_to(92)  # MEDIUM is from 90 on, CRITICAL from 95
        wait_until("work is refused at MEDIUM", lambda: service.work()[0] == 503)
        assert int(service.work()[1]["Retry-After"]) > 0
        assert service.ready() == 200 and answer(service.port, "/")[0] == 200
        ballast.fill_to(97)
        wait_until("not ready at CRITICAL", lambda: service.ready() == 503)
        assert answer(service.port, "/")[0] == 200
        ballast.fill_to(0)
        wait_until("ready again", lambda: service.ready() == 200)
        wait_until("works again", lambda: service.work()[0] == 200)
        assert box.kills() == 0


class Counter:
    """The file in which count_malloc.c counts."""

    def __init__(self, directory):
        self.path = f"{directory}/plim_count_{os.getpid()}"

    def __enter__(self):
        with open(self.path, "wb") as file:
            file.write(bytes(8))
        return self

    def __exit__(self, *_):
        os.unlink(self.path)

    def value(self):
        with open(self.path, "rb") as file:
            return int.from_bytes(file.read(8), "little")


def allocates_nothing():
    preload = f"{paths['count_malloc']} {paths['library']}"
    with Counter("/var/tmp") as counter, Box(LIMIT_MIB) as box, \
            Service(box, preload, {"COUNT_FILE": counter.path}) as service, Ballast(box) as ballast:
        probe = http.client.HTTPConnection("127.0.0.1", service.probe_port, timeout=60)
        answer(0, "/ready", probe)  # libmicrohttpd allocates for the connection
        before = counter.value()
        assert before > 0
        statuses = {answer(0, "/ready", probe)[0] for _ in range(100)}
        ballast.fill_to(97)
        wait_until("not ready", lambda: answer(0, "/ready", probe)[0] == 503)
        statuses |= {answer(0, "/ready", probe)[0] for _ in range(100)}
        assert statuses == {200, 503}, statuses
        assert counter.value() == before, f"{counter.value() - before} calls of malloc"
        ballast.fill_to(0)
        wait_until("works again", lambda: service.work()[0] == 200)
        assert counter.value() > before, "nothing is counted"
        probe.close()


def refuses(port):
    try:
        answer(port, "/")
    except ConnectionRefusedError:
        return True
    except (ConnectionResetError, http.client.RemoteDisconnected):
        pass
    return False


def drains():
    with Box(LIMIT_MIB) as box, Service(box, paths["library"]) as service:
        before = in_use(box)
        client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        client.request("GET", "/work?mib=64&ms=4000")
        wait_until("the request is worked on", lambda: in_use(box) > before + 60 * MIB)
        service.process.send_signal(signal.SIGTERM)
        wait_until("not ready", lambda: service.ready() == 503)
        wait_until("no connection is taken", lambda: refuses(service.port))
        assert service.process.poll() is None, "it ended with a request to be finished"
        got = client.getresponse()
        assert (got.status, got.read()) == (200, b"used 64 MiB, ends in x\n")
        client.close()
        assert service.process.wait(60) == 0


def sizes_its_pool():
    with Service(library=paths["library"], env={"PLIMSOLL_CPUS": "3"}) as service:
        assert service.told["threads"] == 3, service.told
        tasks = os.listdir(f"/proc/{service.process.pid}/task")
        # main, three for work, one for the probe; perhaps one of libmicrohttpd's own and the
        # watcher.
        assert 5 <= len(tasks) <= 7, tasks


def runs_alone():
    with Service() as service:
        assert service.told["threads"] == os.sysconf("SC_NPROCESSORS_ONLN")
        assert service.ready() == 200 and service.work()[2] == "used 1 MiB, ends in x\n"
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0


def cases():
    yield "the service refuses work at MEDIUM and is not ready at CRITICAL", sheds
    yield "the service answers its probe without allocating", allocates_nothing
    yield "the service drains on SIGTERM", drains
    yield "the service has a thread for each CPU", sizes_its_pool
    yield "the service runs without the library", runs_alone
