"""The examples that fill a cache: killed by the kernel without their reclaimer, and not with it."""

import atexit
import functools
import os
import shutil

from common import Box, Skip, Workplace, first_line_of, numbers, paths

C_FLAGS = "-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror"


class Example:
    """main: the file to run; built: the file whose line builds it, if another; flags: for that."""

    def __init__(self, main, built=None, flags="", alone=True):
        self.main, self.flags, self.alone = main, flags, alone
        self.directory, self.file = os.path.split(main)
        self.built = built or self.file

    def sees(self, out, alone):
        """Checks the output. alone: the example ran without the library."""
        got = numbers(out)
        assert got.get("cached", 1) > 0 and got.get("cached_mib", 1) > 0, out
        if alone:
            assert got.get("dropped_mib", 0) == 0, out
        return got


class Sqlite(Example):
    def sees(self, out, alone):
        assert out.count("rows=80000\n") == 3 and out.count("sum=320000000\n") == 3, out
        got = numbers(out)
        # The cache was emptied at least once, and at least once a query held the mutex.
        assert alone == (got["releases"] == 0) and alone == (got["busy"] == 0), out


class Cache(Example):
    """Of `total` entries or MiB some had to go, and no more than was asked."""

    def __init__(self, main, key, total, least, **more):
        super().__init__(main, **more)
        self.key, self.total, self.least = key, total, least

    def sees(self, out, alone):
        got = super().sees(out, alone)
        if alone:
            assert got[self.key] == self.total, out
        else:
            assert self.least < got[self.key] < self.total, out
        assert alone or got.get("relieved", 1) > 0, out


# Calls the reclaimer in the middle of a query: on another thread, as the mutex is recursive.
ALL_OF_SQLITE = """#define main example_main
#include "sqlite_cache.c"
#undef main
#include <pthread.h>
static void *ask(void *db)
{
    const struct plim_pressure all = {.size = sizeof(all), .target = UINT64_MAX};
    return release_cache(&all, db) == 0 && sqlite3_soft_heap_limit64(-1) == 1 ? db : NULL;
}
int main(void)
{
    sqlite3 *db;
    pthread_t thread;
    void *done = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK)
        return 1;
    sqlite3_mutex_enter(sqlite3_db_mutex(db));
    return pthread_create(&thread, NULL, ask, db) == 0 && pthread_join(thread, &done) == 0 && done ? 0 : 1;
}
"""

ALL_OF_GO = """package main

import (
    "math"
    "testing"
)

func TestAll(t *testing.T) {
    for i := 0; i < 3; i++ {
        shared.add()
    }
    if freed := shared.shrink(math.MaxUint64); freed != 3*entrySize || shared.len() != 0 {
        t.Errorf("freed %d", freed)
    }
}
"""

EXAMPLES = [
    Sqlite("c/sqlite_cache.c", flags=C_FLAGS),
    Cache("cxx/lru_cache.cpp", "cached_mib", 381, 50, flags="-Wall -Wextra -Wshadow -Werror"),
    Cache("python/cache.py", "cached_mib", 286, 40),
    Cache("lua/cache.lua", "cached", 20000, 2500, built="plimsoll.c", flags=C_FLAGS),
    Cache("ruby/cache.rb", "cached", 20000, 2500),
    Cache("rust/cache.rs", "cached", 20000, 2500, flags="-D warnings", alone=False),
    Cache("go/cache.go", "cached", 20000, 2500),
    Cache("node/cache.js", "cached", 20000, 1000),
]


def interpreter_is_there(place, line):
    words = line.split(" -- ")[1].split()
    if not words[0].startswith("./") and not shutil.which(words[0], path=place.env["PATH"]):
        raise Skip(f"{words[0]} is not installed")


def run_line(place, example):
    with Box(64):
        pass  # skips, with the reason, where no cgroup can be made
    line = first_line_of(os.path.join(place.work, example.file), "Run")
    interpreter_is_there(place, line)
    return line


@functools.lru_cache(maxsize=None)
def built(example):
    """Built once for all its cases; a failed build is not kept, so that every case fails."""
    place = Workplace(example.directory).__enter__()
    atexit.register(place.__exit__)
    place.build(example.built, example.flags)
    return place


def lives(example):
    place = built(example)
    example.sees(place.must(run_line(place, example)), alone=False)


def is_killed(example):
    place = built(example)
    status, out, err = place.shell(run_line(place, example) + " --no-reclaimer")
    assert status == 137 and "the kernel killed" in err, (status, out, err)


def bare_line(place, example):
    """The line to run without plimsoll run in front, and so without a limit."""
    line = first_line_of(os.path.join(place.work, example.file), "Run")
    interpreter_is_there(place, line)
    return line.split(" -- ")[1]


def runs_alone(example):
    place = built(example)
    status, out, err = place.shell(bare_line(place, example))
    assert status == 0, (status, out, err)
    example.sees(out, alone=True)


def runs_switched_off(example):
    place = built(example)
    for variable in "PLIMSOLL=off", "PLIMSOLL_THREAD=off":
        status, out, err = place.shell(f"env LD_PRELOAD={paths['library']} {variable} {bare_line(place, example)}")
        assert status == 0, (variable, status, out, err)
        example.sees(out, alone=True)


def gives_all_that_it_has(name, tool, text, line):
    if not shutil.which(tool, path=f"/usr/bin:/bin:{os.environ['PATH']}"):
        raise Skip(f"{tool} is not installed")
    with Workplace(os.path.dirname(name)) as place:
        with open(f"{place.work}/all_test{os.path.splitext(name)[1]}", "w", encoding="utf-8") as file:
            file.write(text)
        place.must(line)


def cases():
    for name, *how in (
            ("c/sqlite_cache.c", "cc", ALL_OF_SQLITE, "cc -pthread -o all all_test.c -lsqlite3 && ./all"),
            ("go/cache.go", "go", ALL_OF_GO, "go test .")):
        yield f"{name} takes a target without a bound", gives_all_that_it_has, name, *how
    for example in EXAMPLES:
        yield f"{example.main} lives within its limit", lives, example
        yield f"{example.main} is killed without its reclaimer", is_killed, example
        yield f"{example.main} runs where the library is switched off", runs_switched_off, example
        if example.alone:
            yield f"{example.main} runs without the library", runs_alone, example
