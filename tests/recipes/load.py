"""A client of docs/recipes/docker/service.c."""

import http.client
import socket
import threading

from oci import wait_until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, path):
    """Returns (status, text); (0, reason) where there is no answer."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    except OSError as reason:
        return 0, str(reason)


def ask_many(port, keys, ret):
    """Asks one after another through one connection; appends the number of good answers to ret."""
    good = 0
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for key in keys:
            connection.request("GET", f"/get/{key}")
            reply = connection.getresponse()
            letter, _, _ = reply.read().decode().partition(" ")
            good += reply.status == 200 and letter == chr(ord("a") + key % 26)
        connection.close()
    except (OSError, http.client.HTTPException):
        pass    # the service was killed, as the count shows
    ret.append(good)


def load(port, keys, connections=3):
    """Asks for that many different keys; returns how many answers were good."""
    good = []
    threads = [threading.Thread(target=ask_many, args=(port, range(i, keys, connections), good))
               for i in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(good)


def wait_ready(container, port):
    wait_until(f"it is ready: {container.said()}",
               lambda: not container.is_running() or ask(port, "/ready")[0] == 200)


def stats(port):
    """{name: number}"""
    return {name: int(value) for name, value in (item.split("=") for item in ask(port, "/stats")[1].split())}
