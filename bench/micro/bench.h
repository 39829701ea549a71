/*
 * What the cases share. Every case does a fixed amount of work, whatever the allocator, so that
 * times and peaks can be compared; one case runs per process, so that its peak is its own.
 */
#ifndef MICRO_BENCH_H
#define MICRO_BENCH_H

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

constexpr size_t KiB = 1024, MiB = 1024 * KiB;

/* The work is divided by this (flag --divide=N). */
extern size_t divisor;

static inline size_t scaled(size_t n)
{
    return n / divisor > 0 ? n / divisor : 1;
}

/* xorshift64*: the same numbers in every run. */
class Random
{
  public:
    explicit Random(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15u + 1) {}

    uint64_t next()
    {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return state * 0x2545f4914f6cdd1du;
    }

    size_t below(size_t n) { return (next() >> 33) % n; }

    size_t between(size_t low, size_t high) { return low + below(high - low + 1); }

    /* Small sizes are likely: each doubling is half as likely as the one before. */
    size_t skewed(size_t low, size_t high)
    {
        size_t top = low * 2;
        while (top < high && (next() >> 63) != 0)
            top *= 2;
        return between(top / 2, top < high ? top : high);
    }

  private:
    uint64_t state;
};

/* Writes to the first byte of each page, so that all pages of the block are in memory. */
static inline void touch(void *block, size_t size)
{
    auto *bytes = static_cast<volatile char *>(block);
    for (size_t at = 0; at < size; at += 4096)
        bytes[at] = 1;
}

/* Calls work(index) on `count` threads at once and waits for all. */
void on_threads(size_t count, const std::function<void(size_t)> &work);

/* Registers a case: its body runs once. */
struct Case {
    Case(const char *name, void (*body)());
};

#define CASE(name)                                                                                 \
    static void name();                                                                            \
    static const Case case_##name(#name, name);                                                    \
    static void name()

#endif
