import glob
import os
import shutil
import signal
import subprocess
import time

from program import Problem, Program, as_user, expect, plainly


class Measured(Program):
    connections = 8
    title = f"PostgreSQL, {connections} pooled connections"
    packages = ["postgresql"]
    limit_mib = 128
    settings = {
        "listen_addresses": "", "shared_buffers": "16MB", "work_mem": "64MB", "hash_mem_multiplier": "2",
        "fsync": "off", "autovacuum": "off", "jit": "off", "max_parallel_workers_per_gather": "0",
        "restart_after_crash": "off",
    }
    queries = [     # each with the answer that is expected
        ("select count(*) from (select i % 200000 k, array_agg(i) a from generate_series(1, 400000) i group by 1) t",
         "200000"),
        ("select length(string_agg(md5(i::text), ',')) from generate_series(1, 300000) i", "9899999"),
        ("select jsonb_array_length(jsonb_agg(jsonb_build_object('i', i, 't', md5(i::text))))"
         " from generate_series(1, 60000) i", "60000"),
        ("select count(*) from (select md5(i::text) m from generate_series(1, 250000) i order by 1) t", "250000"),
    ]

    def make(self):
        self.bin = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
        self.pristine, self.data, self.log = (f"{self.work}/{name}" for name in ("pristine", "data", "log"))
        os.mkdir(self.pristine)
        shutil.chown(self.pristine, "postgres", "postgres")
        plainly(*as_user("postgres"), f"{self.bin}/initdb", "-D", self.pristine, "-A", "trust", "-N", cwd="/")

    def prepare(self):
        """A fresh copy of the data for every run."""
        shutil.rmtree(self.data, ignore_errors=True)
        plainly("cp", "-a", self.pristine, self.data)

    def run(self, box):
        options = [word for key, value in self.settings.items() for word in ("-c", f"{key}={value}")]
        with open(self.log, "w") as log:
            server = box.start(f"{self.bin}/postgres", "-D", self.data, "-k", self.data, *options, user="postgres",
                               cwd="/", stdout=log, stderr=log)
        try:
            self.wait_ready(server)
            self.load()
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGINT)
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()

    def after(self, box):
        """Removes the shared memory of a server that was killed; one that stops removes it itself."""
        if os.path.exists(f"{self.data}/postmaster.pid"):
            with open(f"{self.data}/postmaster.pid") as file:
                key_and_id = file.read().splitlines()[6:7]
            for line in key_and_id:
                subprocess.run(["ipcrm", "-m", line.split()[1]], stderr=subprocess.DEVNULL)

    def wait_ready(self, server):
        deadline = time.monotonic() + 30
        command = [*as_user("postgres"), f"{self.bin}/pg_isready", "-q", "-h", self.data]
        while subprocess.run(command, cwd="/").returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                raise Problem("the server did not start")
            time.sleep(0.02)

    def connect(self):
        return subprocess.Popen([*as_user("postgres"), f"{self.bin}/psql", "-h", self.data, "-qAtX", "postgres"],
                                cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                text=True)

    def load(self):
        """Each connection runs the queries once, then stays open and idle while the others run theirs."""
        clients = []
        try:
            for _ in range(self.connections):
                clients.append(self.connect())
                for query, answer in self.queries:
                    ask(clients[-1], query, answer)
            for client in clients:
                ask(client, "select 1", "1")
        finally:
            for client in clients:
                client.kill()
                client.communicate()


def ask(client, query, answer):
    client.stdin.write(query + ";\n")
    client.stdin.flush()
    got = client.stdout.readline().strip()
    if not got:
        raise Problem("lost its connection")
    expect("the server's answer", got, answer)
