"""The two programs that are run. Each is made once; every run is a prepare() and a run() in a group."""
import glob
import os
import shutil
import signal
import subprocess
import time

TIMEOUT = 120


def preload(library):
    return ["env", f"LD_PRELOAD={library}"] if library else []


class Phases:
    name = "phases"
    title = "phases: 8 threads, 200 MiB live, 12 changes of block sizes"
    limit_mib = 240

    def __init__(self, work):
        self.program = f"{work}/phases"

    def prepare(self):
        pass

    def run(self, group, library):
        """Returns None if all went well, else what went wrong."""
        process = group.start([*preload(library), self.program, "--verify"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            errors = process.communicate(timeout=TIMEOUT)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            return f"not done after {TIMEOUT} s"
        return None if process.returncode == 0 else errors.decode().strip() or f"ended with {process.returncode}"


class Postgres:
    name = "postgres"
    connections = 8
    title = f"PostgreSQL, {connections} pooled connections"
    limit_mib = 128
    settings = {
        "listen_addresses": "", "shared_buffers": "16MB", "work_mem": "64MB", "hash_mem_multiplier": "2",
        "fsync": "off", "autovacuum": "off", "jit": "off", "max_parallel_workers_per_gather": "0",
        "restart_after_crash": "off",
    }
    queries = [     # with what each has to answer
        ("select count(*) from (select i % 200000 k, array_agg(i) a from generate_series(1, 400000) i group by 1) t",
         "200000"),
        ("select length(string_agg(md5(i::text), ',')) from generate_series(1, 300000) i", "9899999"),
        ("select jsonb_array_length(jsonb_agg(jsonb_build_object('i', i, 't', md5(i::text))))"
         " from generate_series(1, 60000) i", "60000"),
        ("select count(*) from (select md5(i::text) m from generate_series(1, 250000) i order by 1) t", "250000"),
    ]

    def __init__(self, work):
        self.bin = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
        self.pristine, self.data, self.log = f"{work}/pristine", f"{work}/data", f"{work}/postgres.log"
        os.mkdir(self.pristine)
        shutil.chown(self.pristine, "postgres", "postgres")
        subprocess.run([*self.as_user(), f"{self.bin}/initdb", "-D", self.pristine, "-A", "trust", "-N"],
                       check=True, cwd="/", stdout=subprocess.DEVNULL)

    @staticmethod
    def as_user():
        return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]

    def prepare(self):
        """A fresh copy of the data for every run."""
        shutil.rmtree(self.data, ignore_errors=True)
        subprocess.run(["cp", "-a", self.pristine, self.data], check=True)

    def run(self, group, library):
        options = [word for key, value in self.settings.items() for word in ("-c", f"{key}={value}")]
        with open(self.log, "w") as log:
            server = group.start([*self.as_user(), *preload(library), f"{self.bin}/postgres", "-D", self.data,
                                  "-k", self.data, *options], cwd="/", stdout=log, stderr=log)
        try:
            self.wait_ready(server)
            self.work()
        except (EOFError, OSError) as error:
            return str(error)
        finally:
            self.stop(server)

    def wait_ready(self, server):
        deadline = time.monotonic() + 30
        command = [*self.as_user(), f"{self.bin}/pg_isready", "-q", "-h", self.data]
        while subprocess.run(command, cwd="/").returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                raise EOFError("the server did not start")
            time.sleep(0.02)

    def connect(self):
        return subprocess.Popen([*self.as_user(), f"{self.bin}/psql", "-h", self.data, "-qAtX", "postgres"], cwd="/",
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def work(self):
        """Each connection runs the queries once, then stays open and idle while the others run theirs."""
        clients = []
        try:
            for _ in range(self.connections):
                clients.append(self.connect())
                for query, answer in self.queries:
                    self.ask(clients[-1], query, answer)
            for client in clients:
                self.ask(client, "select 1", "1")
        finally:
            for client in clients:
                client.kill()
                client.communicate()

    @staticmethod
    def ask(client, query, answer):
        client.stdin.write(query + ";\n")
        client.stdin.flush()
        got = client.stdout.readline().strip()
        if got != answer:
            raise EOFError(f"the server answered '{got}' in place of '{answer}'" if got else "lost its connection")

    def stop(self, server):
        """The server removes its shared memory when it stops; if it was killed, that is left to do."""
        if server.poll() is None:
            server.send_signal(signal.SIGINT)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
        if os.path.exists(f"{self.data}/postmaster.pid"):
            with open(f"{self.data}/postmaster.pid") as file:
                key_and_id = file.read().splitlines()[6:7]
            for line in key_and_id:
                subprocess.run(["ipcrm", "-m", line.split()[1]], stderr=subprocess.DEVNULL)
