import os
import shutil
import signal
import subprocess
import time

from program import Problem, Program, expect, plainly

THREADS = 24


class Measured(Program):
    title = f"MariaDB, {THREADS} connections (one thread each), 3 working at a time"
    packages = ["mariadb-server-core", "mariadb-client"]
    limit_mib = 96
    settings = {
        "skip-networking": "1", "innodb-buffer-pool-size": "16M", "innodb-log-file-size": "8M", "key-buffer-size": "1M",
        "innodb-flush-log-at-trx-commit": "0", "performance-schema": "0", "aria-pagecache-buffer-size": "1M",
        "tmp-table-size": "48M", "max-heap-table-size": "48M", "sort-buffer-size": "24M", "thread-handling": "one-thread-per-connection",
        "group-concat-max-len": "20000000", "thread-cache-size": "0", "skip-log-bin": "1", "max-connections": "64",
    }
    queries = [
        ("select length(group_concat(md5(seq) order by seq % 977, seq)) from seq_1_to_60000", "1979999"),
        ("select count(*) from (select seq % 40000 k, md5(seq % 40000) m, count(*) c, max(repeat('x', seq % 60)) x "
         "from seq_1_to_80000 group by 1, 2) t", "40000"),
        ("select json_length(concat('[', group_concat(json_object('i', seq, 't', md5(seq))), ']')) "
         "from seq_1_to_8000", "8000"),
    ]

    def make(self):
        self.pristine, self.data, self.socket = (f"{self.work}/{name}" for name in ("pristine", "data", "socket"))
        plainly("mariadb-install-db", "--no-defaults", f"--datadir={self.pristine}", "--user=root",
                "--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M")

    def prepare(self):
        shutil.rmtree(self.data, ignore_errors=True)
        plainly("cp", "-a", self.pristine, self.data)

    def run(self, box):
        options = [f"--{key}={value}" for key, value in self.settings.items()]
        with open(f"{self.work}/log", "w") as log:
            server = box.start("mariadbd", "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}",
                               "--user=root", *options, stdout=log, stderr=log)
        try:
            self.wait_ready(server)
            self.load()
            server.send_signal(signal.SIGTERM)
            expect("exit status", server.wait(timeout=30), 0)
        finally:
            server.kill()
            server.wait()

    def wait_ready(self, server):
        deadline = time.monotonic() + 30
        command = ["mariadb-admin", "--no-defaults", f"--socket={self.socket}", "--user=root", "--silent", "ping"]
        while subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                raise Problem("the server did not start")
            time.sleep(0.02)

    def connect(self):
        return subprocess.Popen(["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "-Nqn", "mysql"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def load(self):
        """Three connections at a time run the queries; all stay open."""
        clients = [self.connect() for _ in range(THREADS)]
        try:
            for start in range(0, THREADS, 3):
                for query, answer in self.queries:
                    for client in clients[start:start + 3]:
                        client.stdin.write(query + ";\n")
                        client.stdin.flush()
                    for client in clients[start:start + 3]:
                        got = client.stdout.readline().strip()
                        if not got:
                            raise Problem("lost its connection")
                        expect("the server's answer", got, answer)
        finally:
            for client in clients:
                client.kill()
                client.communicate()
