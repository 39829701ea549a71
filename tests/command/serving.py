"""plimsoll metrics as a server, and a real Prometheus that scrapes it."""

import contextlib
import http.client
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.parse
import urllib.request

from tap import Skip, start

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def need(program):
    if not shutil.which(program):
        raise Skip(f"{program} is not installed")


class Server:
    """plimsoll metrics --listen on any free port; use as a context."""

    def __init__(self, where, listen="127.0.0.1:0"):
        self.where, self.listen = where, listen

    def __enter__(self):
        self.process = start("metrics", "--listen", self.listen,
                             env={"PLIMSOLL_STATS": self.where})
        line = self.process.stdout.readline()
        self.address = re.fullmatch(r"listening on http://(\S+)/\n", line)[1]
        return self

    def get(self, path, **headers):
        request = urllib.request.Request(f"http://{self.address}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode(), answer.headers

    def ask(self, method, path):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body, answer.headers

    def end(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        return self.process.wait(60)

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def prometheus(*targets):
    """A real Prometheus that scrapes these targets every second; yields its address."""
    need("prometheus")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="plim_prom_") as work:
        with open(f"{work}/prometheus.yml", "w", encoding="utf-8") as file:
            json.dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                       "rule_files": [str(ROOT / "docs/alerts.yml")],
                       "scrape_configs": [{"job_name": "plimsoll", "static_configs": [
                           {"targets": list(targets)}]}]}, file)
        with open(f"{work}/log", "w", encoding="utf-8") as log:
            process = subprocess.Popen(
                ["prometheus", f"--config.file={work}/prometheus.yml",
                 f"--storage.tsdb.path={work}/data", f"--web.listen-address={address}"],
                stdout=log, stderr=log, cwd=work)
        try:
            yield address
        finally:
            process.terminate()
            process.wait(60)


def query(address, expression):
    with contextlib.suppress(OSError):
        url = f"http://{address}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]["result"]
    return []
