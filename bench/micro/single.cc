/* One thread: the paths of malloc one by one. */
#include "bench.h"

#include <algorithm>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <unordered_map>

/* The innermost path: a block is taken, used and given back at once. */
static void loop(size_t size, size_t times)
{
    for (size_t i = scaled(times); i > 0; i--) {
        char *p = static_cast<char *>(malloc(size));
        benchmark::DoNotOptimize(p);
        p[0] = 1;
        benchmark::ClobberMemory();
        free(p);
    }
}

CASE(loop_8)
{
    loop(8, 30000000);
}
CASE(loop_64)
{
    loop(64, 30000000);
}
CASE(loop_512)
{
    loop(512, 30000000);
}
CASE(loop_4K)
{
    loop(4 * KiB, 30000000);
}
CASE(loop_16K)
{
    loop(16 * KiB, 20000000);
}
CASE(loop_64K)
{
    loop(64 * KiB, 1000000);
}
CASE(loop_256K)
{
    loop(256 * KiB, 1000000);
}
CASE(loop_1M)
{
    loop(MiB, 1000000);
}

/* Changing sizes: shows costs that a loop with one size hides. */
CASE(loop_mixed)
{
    Random random(1);
    for (size_t i = scaled(10000000); i > 0; i--) {
        size_t size = random.skewed(8, 32 * KiB);
        char *p = static_cast<char *>(malloc(size));
        p[0] = 1;
        benchmark::DoNotOptimize(p);
        free(p);
    }
}

enum class Order { forward, backward, shuffled };

/* Takes `total` bytes in blocks, uses them, gives them back; several times over. */
static void batch(size_t size, size_t total, size_t times, Order order)
{
    std::vector<size_t> turn(total / size);
    std::iota(turn.begin(), turn.end(), 0);
    Random random(size);
    if (order == Order::backward)
        std::reverse(turn.begin(), turn.end());
    for (size_t i = turn.size() - 1; order == Order::shuffled && i > 0; i--)
        std::swap(turn[i], turn[random.below(i + 1)]);
    std::vector<void *> blocks(turn.size());
    for (size_t round = scaled(times); round > 0; round--) {
        for (auto &block : blocks) {
            block = malloc(size);
            touch(block, size);
        }
        for (size_t i : turn)
            free(blocks[i]);
    }
}

CASE(batch_16)
{
    batch(16, 16 * MiB, 20, Order::forward);
}
CASE(batch_64_backward)
{
    batch(64, 32 * MiB, 40, Order::backward);
}
CASE(batch_64_shuffled)
{
    batch(64, 32 * MiB, 10, Order::shuffled);
}
CASE(batch_1K)
{
    batch(KiB, 64 * MiB, 60, Order::forward);
}
CASE(batch_4K_shuffled)
{
    batch(4 * KiB, 64 * MiB, 60, Order::shuffled);
}
CASE(batch_32K)
{
    batch(32 * KiB, 64 * MiB, 16, Order::forward);
}
CASE(batch_256K)
{
    batch(256 * KiB, 64 * MiB, 500, Order::shuffled);
}
CASE(batch_1M)
{
    batch(MiB, 64 * MiB, 500, Order::forward);
}

/* Large blocks of all sizes are replaced: page-level work. */
CASE(large_blocks)
{
    Random random(2);
    std::vector<void *> blocks(24);
    for (size_t i = scaled(800); i > 0; i--) {
        void *&block = blocks[random.below(blocks.size())];
        size_t size = random.between(128 * KiB, 8 * MiB);
        free(block);
        block = malloc(size);
        touch(block, size);
    }
    for (void *block : blocks)
        free(block);
}

/* Blocks above jemalloc's oversize threshold. */
CASE(huge_blocks)
{
    Random random(3);
    for (size_t i = scaled(25); i > 0; i--) {
        size_t size = random.between(8 * MiB, 48 * MiB);
        void *block = malloc(size);
        touch(block, size);
        free(block);
    }
}

/* Buffers that grow by half, many at a time. */
CASE(realloc_growth)
{
    for (size_t round = scaled(150); round > 0; round--) {
        std::vector<char *> buffers(100);
        for (size_t size = 16; size < 128 * KiB; size += size / 2) {
            for (auto &buffer : buffers) {
                buffer = static_cast<char *>(realloc(buffer, size));
                buffer[size - 1] = 1;
            }
        }
        for (char *buffer : buffers)
            free(buffer);
    }
}

CASE(realloc_large)
{
    for (size_t round = scaled(10); round > 0; round--) {
        char *buffer = nullptr;
        for (size_t size = MiB; size <= 48 * MiB; size += MiB) {
            buffer = static_cast<char *>(realloc(buffer, size));
            touch(buffer + size - MiB, MiB);
        }
        free(buffer);
    }
}

CASE(realloc_shrink)
{
    for (size_t round = scaled(60000); round > 0; round--) {
        void *p = malloc(256 * KiB);
        for (size_t size = 128 * KiB; size >= KiB; size /= 2)
            p = realloc(p, size);
        static_cast<char *>(p)[0] = 1;
        free(p);
    }
}

CASE(realloc_small)
{
    for (size_t round = scaled(400000); round > 0; round--) {
        void *p = nullptr;
        for (size_t size = 8; size <= 512; size += 24) {
            p = realloc(p, size);
            benchmark::DoNotOptimize(p);
        }
        free(p);
    }
}

/* Zeroed blocks; `used`: how much of each is written to. The rest must not cost anything. */
static void zeroed(size_t size, size_t used, size_t times)
{
    std::vector<void *> blocks(64);
    for (size_t i = 0, end = scaled(times); i < end; i++) {
        void *&block = blocks[i % blocks.size()];
        free(block);
        block = calloc(1, size);
        touch(block, used);
    }
    for (void *block : blocks)
        free(block);
}

CASE(calloc_48)
{
    zeroed(48, 48, 20000000);
}
CASE(calloc_4K)
{
    zeroed(4 * KiB, 4 * KiB, 3000000);
}
CASE(calloc_32K)
{
    zeroed(32 * KiB, 32 * KiB, 400000);
}

CASE(calloc_256K)
{
    zeroed(256 * KiB, 256 * KiB, 20000);
}

CASE(calloc_256K_sparse)
{
    zeroed(256 * KiB, 8 * KiB, 150000);
}

CASE(calloc_4M)
{
    zeroed(4 * MiB, 4 * MiB, 150);
}

CASE(calloc_4M_sparse)
{
    zeroed(4 * MiB, 64 * KiB, 8000);
}

static void aligned(size_t alignment, size_t size, size_t times)
{
    std::vector<void *> blocks(256);
    for (size_t i = 0, end = scaled(times); i < end; i++) {
        void *&block = blocks[i % blocks.size()];
        free(block);
        block = aligned_alloc(alignment, size);
        benchmark::DoNotOptimize(block);
    }
    for (void *block : blocks)
        free(block);
}

CASE(aligned_64)
{
    aligned(64, 192, 15000000);
}
CASE(aligned_4K)
{
    aligned(4 * KiB, 8 * KiB, 10000000);
}

/* Alignments of all kinds at once. */
CASE(aligned_mixed)
{
    Random random(9);
    std::vector<void *> blocks(1000);
    for (size_t i = scaled(2000000); i > 0; i--) {
        void *&block = blocks[random.below(blocks.size())];
        free(block);
        if (posix_memalign(&block, 16u << random.below(9), random.skewed(16, 16 * KiB)) != 0)
            abort();
        static_cast<char *>(block)[0] = 1;
    }
    for (void *block : blocks)
        free(block);
}

CASE(new_delete)
{
    struct Node {
        Node *next;
        long payload[3];
    };
    for (size_t round = scaled(3000); round > 0; round--) {
        Node *head = nullptr;
        for (long i = 0; i < 5000; i++)
            head = new Node{head, {i, i, i}};
        while (head != nullptr) {
            Node *next = head->next;
            delete head;
            head = next;
        }
    }
}

/* Arrays: sized and unsized delete, and nothrow new. */
CASE(new_arrays)
{
    Random random(8);
    for (size_t i = scaled(6000000); i > 0; i--) {
        size_t size = random.skewed(16, 2 * KiB);
        char *first = new char[size];
        char *second = new (std::nothrow) char[size / 2];
        benchmark::DoNotOptimize(first);
        benchmark::DoNotOptimize(second);
        delete[] first;
        ::operator delete[](second, size / 2);
    }
}

struct alignas(64) CacheLine {
    char bytes[64];
};

CASE(new_aligned)
{
    for (size_t i = scaled(20000000); i > 0; i--) {
        auto *line = new CacheLine;
        benchmark::DoNotOptimize(line);
        delete line;
    }
}

CASE(containers)
{
    Random random(4);
    for (size_t round = scaled(3); round > 0; round--) {
        std::map<uint64_t, std::string> sorted;
        std::unordered_map<std::string, std::vector<int>> hashed;
        std::list<std::string> recent;
        for (size_t i = 0; i < 100000; i++) {
            std::string key(random.between(1, 60), 'k');
            key += std::to_string(random.below(50000));
            hashed[key].push_back(static_cast<int>(i));
            sorted[random.below(100000)] = key;
            recent.push_back(std::move(key));
            if (recent.size() > 1000)
                recent.pop_front();
        }
    }
}

/* Numbers of a few limbs, each living for a few operations: like factoring with a bignum library.
 */
static std::unique_ptr<std::vector<uint32_t>> times(const std::vector<uint32_t> &a, uint32_t b)
{
    auto product = std::make_unique<std::vector<uint32_t>>();
    uint64_t carry = 0;
    for (uint32_t limb : a) {
        carry += static_cast<uint64_t>(limb) * b;
        product->push_back(static_cast<uint32_t>(carry));
        carry >>= 32;
    }
    if (carry != 0)
        product->push_back(static_cast<uint32_t>(carry));
    return product;
}

CASE(bignum)
{
    Random random(5);
    for (size_t round = scaled(500000); round > 0; round--) {
        auto number = std::make_unique<std::vector<uint32_t>>(1, 7u);
        while (number->size() < 7)
            number = times(*number, static_cast<uint32_t>(random.next()) | 0x1000001u);
        benchmark::DoNotOptimize(number);
    }
}

/* A random block of a large live set is replaced by another of random size. */
CASE(replace_random)
{
    Random random(6);
    std::vector<void *> blocks(100000);
    for (size_t i = scaled(6000000); i > 0; i--) {
        void *&block = blocks[random.below(blocks.size())];
        size_t size = random.skewed(16, 4 * KiB);
        free(block);
        block = malloc(size);
        static_cast<char *>(block)[0] = 1;
    }
    for (void *block : blocks)
        free(block);
}

/* The program changes its mind about sizes while some of the old blocks stay. */
CASE(phases)
{
    Random random(7);
    std::vector<void *> stay;
    for (size_t phase = 0; phase < 16; phase++) {
        size_t size = 24 + 56 * phase;
        std::vector<void *> blocks(24 * MiB / size);
        for (size_t round = scaled(4); round > 0; round--) {
            for (auto &block : blocks) {
                block = malloc(size);
                touch(block, size);
            }
            for (auto &block : blocks) {
                if (round == 1 && random.below(50) == 0)
                    stay.push_back(block);
                else
                    free(block);
            }
        }
    }
    for (void *block : stay)
        free(block);
}
