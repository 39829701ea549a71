"""plimsoll.hpp compiles in every way that it says; test_wrapper.cpp says what it does."""

import shutil

from common import Skip, Workplace

WARNINGS = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror"
PROGRAM = """#include <plimsoll.hpp>
int main()
{
    plimsoll::reclaimer r("cache", [](const plim_pressure &p) { return std::size_t(p.target); });
    plimsoll::reclaimer moved(std::move(r));
    return moved ? 0 : plimsoll::present() || plimsoll::level() != PLIM_NORMAL ||
                       plimsoll::reclaim(1) != 0 || plimsoll::cpus() < 1 ? 1 : 10 + moved.error();
}
"""


def compile_with(compiler):
    if not shutil.which(compiler):
        raise Skip(f"{compiler} is not installed")
    with Workplace("cxx") as place:
        with open(f"{place.work}/twice.cpp", "w", encoding="utf-8") as file:
            file.write("#include <plimsoll.hpp>\n" + PROGRAM)
        for standard in (11, 20):
            for more in ("", "-DPLIM_OPTIONAL -fno-exceptions -fno-rtti"):
                place.must(f"{compiler} -std=c++{standard} {WARNINGS} {more} -fsyntax-only twice.cpp")
        place.must(f"{compiler} -std=c++11 {WARNINGS} -fsyntax-only lru_cache.cpp")


def absent():
    with Workplace("cxx") as place:
        with open(f"{place.work}/absent.cpp", "w", encoding="utf-8") as file:
            file.write("#define PLIM_OPTIONAL\n" + PROGRAM)
        place.must("c++ -std=c++11 -O2 -pthread -o absent absent.cpp")
        status, *told = place.shell("./absent")
        assert status == 10 + 38, (status, told)  # ENOSYS


def cases():
    yield "plimsoll.hpp compiles with g++ from C++11 on", compile_with, "g++"
    yield "plimsoll.hpp compiles with clang++ from C++11 on", compile_with, "clang++"
    yield "plimsoll.hpp does without the library", absent
