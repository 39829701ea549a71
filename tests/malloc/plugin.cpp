// A C++ plug-in for a program that is not C++.
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

static volatile std::size_t impossible = PTRDIFF_MAX;

// 0, or the number of the check that failed.
extern "C" int plugin_run()
{
    try {
        (void)operator new(impossible);
        return 1;
    } catch (const std::bad_alloc &) {
    }
    try {
        (void)operator new[](impossible, std::align_val_t(64));
        return 2;
    } catch (const std::bad_alloc &) {
    }
    if (operator new(impossible, std::nothrow) != nullptr)
        return 3;
    std::vector<std::string> v;
    for (int i = 0; i < 10000; i++)
        v.emplace_back(std::size_t(i % 300), 'x');
    return v.size() == 10000 ? 0 : 4;
}
