import os
import random
import signal
import subprocess
import time

from program import Problem, Program, expect, plainly

SIZES = [(60, 180), (200, 420), (500, 900), (1000, 3000), (3000, 9000)]


def resp(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Measured(Program):
    title = "redis: five fills of other value sizes, each but for 1 in 20 unlinked again"
    packages = ["redis-server", "redis-tools"]
    limit_mib = 192

    def make(self):
        self.socket, self.commands = f"{self.work}/socket", f"{self.work}/commands"
        rng, filler, self.kept = random.Random(3), b"v" * 10000, 0
        with open(self.commands, "wb") as file:
            for phase, (low, high) in enumerate(SIZES):
                keys = [b"p%d:%d" % (phase, i) for i in range(100_000_000 // ((low + high) // 2 + 90))]
                file.writelines(resp(b"SET", key, filler[:rng.randint(low, high)]) for key in keys)
                gone = [key for i, key in enumerate(keys) if i % 20]
                self.kept += len(keys) - len(gone)
                file.writelines(resp(b"UNLINK", *gone[i:i + 100]) for i in range(0, len(gone), 100))

    def cli(self, *words, **options):
        return plainly("redis-cli", "-s", self.socket, *words, **options)

    def run(self, box):
        with open(f"{self.work}/log", "w") as log:
            server = box.start("redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly",
                               "no", "--dir", self.work, stdout=log, stderr=log)
        try:
            self.wait_ready(server)
            with open(self.commands, "rb") as commands:
                said = self.cli("--pipe", stdin=commands).decode()
            if "errors: 0," not in said:
                raise Problem(said[-200:])
            expect("keys", int(self.cli("dbsize")), self.kept)
            server.send_signal(signal.SIGTERM)
            expect("exit status", server.wait(timeout=30), 0)
        finally:
            server.kill()
            server.wait()

    def wait_ready(self, server):
        deadline = time.monotonic() + 30
        while not os.path.exists(self.socket) or b"PONG" not in subprocess.run(
                ["redis-cli", "-s", self.socket, "ping"], capture_output=True).stdout:
            if server.poll() is not None or time.monotonic() > deadline:
                raise Problem("the server did not start")
            time.sleep(0.02)

    def after(self, box):
        if os.path.exists(self.socket):
            os.unlink(self.socket)
