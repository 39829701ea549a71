"""The programs. Each function runs one in a setting and returns what must not depend on malloc."""

import hashlib
import os
import signal
import time

from setting import Setting

WORKLOADS = os.path.join(os.path.dirname(os.path.realpath(__file__)), "workloads")


def workload(name):
    return os.path.join(WORKLOADS, name)


def file_digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def write(setting, name, text):
    with open(os.path.join(setting.work, name), "w", encoding="utf-8") as file:
        file.write(text)


def python(s: Setting):
    return s.run("python3", workload("python.py"))


def perl(s: Setting):
    return s.run("perl", workload("perl.pl"))


def node(s: Setting):
    return s.run("node", workload("node.js"))


def ruby(s: Setting):
    return s.run("ruby", workload("ruby.rb"))


def php(s: Setting):
    """PHP loads its extensions with RTLD_DEEPBIND."""
    return s.run("php", "-d", "memory_limit=-1", workload("php.php"))


def php_by_malloc(s: Setting):
    return s.run("env", "USE_ZEND_ALLOC=0", "php", "-d", "memory_limit=-1", workload("php.php"))


def bash(s: Setting):
    return s.run("bash", workload("shell.sh"))


def dash(s: Setting):
    return s.run("dash", workload("shell.sh"))


def gcc(s: Setting):
    parts = ["struct s { int a; long b[4]; };"]
    for i in range(2500):
        parts.append(
            f"long f{i}(struct s *p, int n) {{ long t = {i}; for (int k = 0; k < n; k++) "
            f"{{ switch ((p[k].a + {i}) % 5) {{ case 0: t += p[k].b[{i % 4}] * {i + 3}; break; "
            f"case 1: t ^= t << {i % 31}; break; default: t -= p[k].a; }} }} return t; }}")
    write(s, "large.c", "\n".join(parts) + "\n")
    s.run("gcc", "-O1", "-g", f"-ffile-prefix-map={s.work}=.", "-pipe", "-c", "large.c", "-o", "large.o")
    return file_digest(f"{s.work}/large.o")


def gxx(s: Setting):
    s.run("g++", "-std=c++17", "-O2", "-c", workload("containers.cc"), "-o", "containers.o")
    return file_digest(f"{s.work}/containers.o")


def cxx_program(s: Setting):
    """Compiled without the library: only the program itself is tested."""
    s.plainly("g++", "-std=c++17", "-O2", "-pthread", workload("containers.cc"), "-o", "containers")
    return s.run(f"{s.work}/containers")


def git_history():
    """A fast-import stream: 400 commits that change some of 60 files each."""
    stream, state = [], 7
    files = {f"dir{i % 6}/file{i}": [f"line {j} of {i}" for j in range(300)] for i in range(60)}
    for commit in range(400):
        stream.append(f"commit refs/heads/main\ncommitter A <a@example.org> {1600000000 + commit} "
                      f"+0000\ndata 7\nchange\n")
        for name, lines in files.items():
            state = (state * 1103515245 + 12345) % (1 << 31)
            if commit > 0 and state % 9:
                continue
            lines[state % len(lines)] = f"changed {state} in {commit}"
            text = "\n".join(lines)
            stream.append(f"M 100644 inline {name}\ndata {len(text)}\n{text}\n")
    return "".join(stream).encode()


def git(s: Setting):
    s.plainly("git", "init", "-q", "--bare", "-b", "main", ".")
    s.plainly("git", "fast-import", "--quiet", "--force", stdin=git_history())
    s.run("git", "-c", "pack.threads=4", "repack", "-q", "-a", "-d", "-f", "--depth=50",
          "--window=40")
    checked = s.run("git", "fsck", "--full", "--strict", "--no-progress")
    objects = s.run("git", "rev-list", "--objects", "--all")
    log = s.run("git", "log", "--stat", "-p", "main")
    assert len(objects) > 10000
    # What git without the library finds in what git with it wrote.
    return checked, s.plainly("git", "rev-list", "--objects", "--all"), objects, log


def sqlite_script():
    yield "pragma journal_mode=wal; pragma cache_size=-40000; pragma temp_store=memory;"
    yield "create table item(id integer primary key, kind int, name text, body blob);"
    yield ("with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000) "
           "insert into item select i, (i * 7919) % 101, printf('name %d', (i * 104729) % 60013), "
           "zeroblob(i % 400) from n;")
    yield "create index item_kind on item(kind, name);"
    yield "update item set body = upper(hex(body)) || name where kind % 3 = 0;"
    yield "delete from item where kind % 10 = 4;"
    yield ("create table summary as select kind, count(*) c, sum(length(body)) s, "
           "group_concat(name, ',') g from item group by kind order by kind;")
    yield "select kind, c, s, length(g) from summary order by s desc, kind;"
    yield ("select a.kind, count(*) from item a join item b on a.kind = b.kind and a.id < b.id "
           "where a.id % 50 = 0 and b.id % 60 = 1 group by a.kind order by 1;")
    yield "select json_group_array(name) from (select name from item order by id limit 2000);"
    yield "vacuum; pragma integrity_check;"


def sqlite3(s: Setting):
    told = s.run("sqlite3", "test.db", stdin="\n".join(sqlite_script()).encode())
    assert told.strip().endswith(b"ok"), told[-200:]
    dump = s.run("sqlite3", "test.db", ".dump")
    return told, hashlib.sha256(dump).hexdigest()


def tools(s: Setting):
    """Sorting, archiving and compressing, with several threads."""
    write(s, "lines", "".join(f"{i * 7919 % 500009} line {i * 31 % 1009}\n" for i in range(400000)))
    sort = s.run("sort", "--parallel=4", "-S", "40M", "-k2", "lines")
    packed = s.run("xz", "-T2", "-2", "--block-size=2MiB", "-c", "lines")
    unpacked = s.run("xz", "-dc", stdin=packed)
    words = s.run("awk", "{ n[$3] += $1 } END { for (w in n) print w, n[w] }", "lines")
    return (hashlib.sha256(sort).hexdigest(), hashlib.sha256(packed).hexdigest(),
            hashlib.sha256(unpacked).hexdigest(), sorted(words.splitlines()))


class Redis:
    """A server on a socket of its own in the setting's directory."""

    def __init__(self, s: Setting):
        self.s = s
        self.socket = f"{s.work}/socket"

    def cli(self, *command, stdin=b""):
        return self.s.plainly("redis-cli", "-s", self.socket, *command, stdin=stdin).strip()

    def __enter__(self):
        self.log = open(f"{self.s.work}/server.log", "wb")
        self.server = self.s.start(
            "redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "",
            "--enable-debug-command", "yes", "--io-threads", "2", "--activedefrag", "no",
            stdout=self.log, stderr=self.log)
        for _ in range(300):
            if os.path.exists(self.socket) and self.cli("ping") == b"PONG":
                return self
            time.sleep(0.1)
        raise AssertionError("the server did not start: " + self.text())

    def text(self):
        with open(f"{self.s.work}/server.log", encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]

    def __exit__(self, *_):
        if self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
        status = self.server.wait(timeout=60)
        self.log.close()
        assert status == 0, f"the server exited with {status}: {self.text()}"


def redis(s: Setting):
    with Redis(s) as server:
        benchmark = s.plainly(
            "redis-benchmark", "-s", server.socket, "-q", "-c", "20", "-n", "20000", "-P", "8",
            "-d", "200", "-t", "set,get,incr,lpush,rpush,lpop,sadd,hset,zadd,lrange_100,mset")
        errors = [line for line in benchmark.splitlines() if b"rror" in line]
        assert not errors, errors
        commands = "".join(f"SET key:{i} {'v' * (1 + i % 700)}\r\nHSET hash:{i % 300} f{i} {i}\r\n"
                           f"ZADD set:{i % 50} {i} m{i}\r\nAPPEND text:{i % 900} {i}\r\n"
                           for i in range(30000))
        commands += "".join(f"DEL key:{i}\r\nRENAME text:{i % 900} text:{i % 900}\r\n"
                            for i in range(0, 30000, 3))
        server.cli("--pipe", stdin=commands.encode())
        before = server.cli("debug", "digest")
        server.cli("bgsave")
        while b"rdb_bgsave_in_progress:1" in server.cli("info", "persistence"):
            time.sleep(0.05)
        saved = server.cli("info", "persistence")
        assert b"rdb_last_bgsave_status:ok" in saved, saved
        server.cli("memory", "purge")
        server.cli("debug", "reload")
        after = server.cli("debug", "digest")
        assert before == after, (before, after)
        return after, server.cli("dbsize"), sorted(server.cli("keys", "*").split())


# Name, program, limit in MiB at which it fits with ease.
PROGRAMS = [
    ("python", python, 1024),
    ("perl", perl, 512),
    ("node", node, 1536),
    ("ruby", ruby, 1024),
    ("php", php, 512),
    ("php with USE_ZEND_ALLOC=0", php_by_malloc, 144),
    ("bash", bash, 256),
    ("dash", dash, 256),
    ("gcc", gcc, 768),
    ("g++", gxx, 1024),
    ("a C++ program", cxx_program, 768),
    ("git repack", git, 768),
    ("sqlite3", sqlite3, 512),
    ("sort, xz and awk", tools, 768),
    ("redis", redis, 512),
]
