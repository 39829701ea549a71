"""Redis's own tests, from its source package, run on the packaged server and clients."""

import os
import shutil

import sources
from suite import Case, Suite

PACKAGE = "redis-server"
TOOLS = {"redis-server": "redis-server", "redis-cli": "redis-tools",
         "redis-benchmark": "redis-tools", "redis-check-aof": "redis-tools",
         "redis-check-rdb": "redis-tools", "tclsh8.6": "tcl8.6"}  # and the package of each
SUBSET = ["type/hash", "type/list-2", "type/set", "type/string", "multi", "scan", "sort", "bitops",
          "dump", "expire", "scripting", "pubsub"]
UNITS = SUBSET + [
    "type/incr", "type/list", "type/list-3", "type/zset", "type/stream", "type/stream-cgroups",
    "auth", "protocol", "keyspace", "info", "info-command", "other", "quit", "aofrw", "acl",
    "acl-v2", "latency-monitor", "pubsubshard", "slowlog", "functions", "maxmemory",
    "introspection", "introspection-2", "limits", "obuf-limits", "bitfield", "geo",
    "memefficiency", "hyperloglog", "lazyfree", "wait", "pause", "querybuf", "pendingquerybuf",
    "tracking", "shutdown", "networking", "client-eviction", "violations", "replybufsize",
    "oom-score-adj", "cluster", "cluster-scripting", "cluster/misc",
] + [f"../integration/{name}" for name in (
    "rdb", "aof", "aof-multi-part", "dismiss-mem", "shutdown", "corrupt-dump", "redis-cli",
    "redis-benchmark", "logging", "convert-zipmap-hash-on-load", "convert-ziplist-hash-on-load",
    "convert-ziplist-zset-on-load", "block-repl", "replication-buffer", "failover",
)]
FIRST_PORT, PORTS = 22000, 100  # each unit has its own, and for a cluster those 10000 above


def prepare(args):
    """A tree for runtest, with the packaged programs in place of built ones: (path, version)"""
    for tool, package in TOOLS.items():
        if not shutil.which(tool):
            raise sources.Missing(f"{tool} is missing: apt-get install {package}")
    tree, version = sources.unpacked(PACKAGE, args.build)
    own = f"{args.build}/tests/foreign/redis"
    shutil.rmtree(own, ignore_errors=True)
    os.makedirs(f"{own}/src")
    shutil.copytree(f"{tree}/tests", f"{own}/tests")
    shutil.copy(f"{tree}/runtest", own)
    shutil.copy(f"{tree}/redis.conf", own)
    for tool in TOOLS:
        if tool.startswith("redis-"):
            os.symlink(shutil.which(tool), f"{own}/src/{tool}")
    return own, version


def case_of(own, number, unit):
    port = FIRST_PORT + number * PORTS
    path = os.path.normpath(f"unit/{unit}")
    script = ('cp -r "$0" redis && cd redis && exec ./runtest --clients 1 --single "$1" '
              '--baseport "$2" --portcount "$3"')
    return Case(path.removeprefix("unit/"),
                ["sh", "-c", script, own, path, str(port), str(PORTS - 40)], "redis", timeout=600)


def redis(args):
    try:
        own, version = prepare(args)
    except sources.Missing as reason:
        return Suite("redis", PACKAGE, [], missing=str(reason))
    cases = [case_of(own, number, unit) for number, unit in enumerate(UNITS)
             if args.all or unit in SUBSET]
    return Suite("redis", PACKAGE, cases, sources.note(PACKAGE, version))
