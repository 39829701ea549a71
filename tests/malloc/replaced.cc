// A program that replaces only the plain operators: its blocks have headers, and are counted. All
// other forms must end up in these. With ALIGNED it replaces the plain aligned operators as well.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace
{

const std::size_t header = 64, impossible = static_cast<std::size_t>(PTRDIFF_MAX) - 4096;
long made, live;
int failures;

void *add_header(void *block, unsigned char mark)
{
    if (block == nullptr)
        throw std::bad_alloc();
    made++, live++;
    std::memset(block, mark, header);
    return static_cast<char *>(block) + header;
}

void drop(void *ptr, unsigned char mark)
{
    if (ptr == nullptr)
        return;
    unsigned char *block = static_cast<unsigned char *>(ptr) - header;
    for (std::size_t i = 0; i < header; i++)
        failures += block[i] != mark;
    live--;
    std::free(block);
}

void expect(const char *what, long made_expected)
{
    if (made != made_expected || live != 0) {
        std::printf("%s: %ld made, %ld left\n", what, made, live);
        failures++;
    }
    made = live = 0;
}

} // namespace

void *operator new(std::size_t size)
{
    return add_header(size < impossible ? std::malloc(size + header) : nullptr, 'n');
}
void operator delete(void *ptr) noexcept
{
    drop(ptr, 'n');
}
#ifdef ALIGNED
void *operator new(std::size_t size, std::align_val_t align)
{
    return add_header(std::aligned_alloc(static_cast<std::size_t>(align), size + header), 'a');
}
void operator delete(void *ptr, std::align_val_t) noexcept
{
    drop(ptr, 'a');
}
#endif

struct alignas(64) wide {
    char bytes[64];
};

int main()
{
    std::size_t volatile some = 100;
    const std::align_val_t align{64};

    ::operator delete(::operator new(some), some);
    expect("sized delete", 1);
    ::operator delete[](::operator new[](some));
    ::operator delete[](::operator new[](some), some);
    expect("arrays", 2);
    ::operator delete(::operator new(some, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](some, std::nothrow), std::nothrow);
    expect("nothrow", 2);
    some = impossible;
    if (::operator new(some, std::nothrow) != nullptr)
        failures++;
    expect("nothrow in vain", 0);
    some = 100;
    delete new int(1);
    delete[] new int[some];
    for (std::size_t i = 0; i < 3000; i++)
        delete[] new char[i];
    expect("expressions", 3002);

    ::operator delete(::operator new(some, align), some, align);
    ::operator delete[](::operator new[](some, align), align);
    ::operator delete[](::operator new[](some, align), some, align);
    ::operator delete(::operator new(some, align, std::nothrow), align, std::nothrow);
    ::operator delete[](::operator new[](some, align, std::nothrow), align, std::nothrow);
    delete new wide;
    delete[] new wide[some];
#ifdef ALIGNED
    expect("aligned", 7);
#else
    expect("aligned, which are not made of the plain ones", 0);
#endif
    std::puts(failures == 0 ? "done" : "failed");
    return failures != 0;
}
