"""plimsoll.hpp compiles in every way that it promises; test_wrapper.cpp tests what it does."""

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

LRU = """#define main example_main
#include "lru_cache.cpp"
#undef main
int main()
{
    lru_cache<int> c;
    std::string value;
    for (int i = 0; i < 5; i++)
        c.put(i, std::string(1000, 'v'));
    bool oldest = c.get(0, value);
    std::size_t freed = c.shrink(1500);
    bool kept = c.get(0, value) && c.get(3, value) && c.get(4, value);
    return oldest && freed == 2000 && kept && !c.get(1, value) && !c.get(2, value) &&
           c.bytes() == 3000 && c.shrink(9000) == 3000 && c.shrink(1) == 0 ? 0 : 1;
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


def drops_the_oldest():
    with Workplace("cxx") as place:
        with open(f"{place.work}/oldest.cpp", "w", encoding="utf-8") as file:
            file.write(LRU)
        place.must("c++ -std=c++11 -pthread -o oldest oldest.cpp && ./oldest")


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
    yield "cxx/lru_cache.cpp drops what was used longest ago", drops_the_oldest
