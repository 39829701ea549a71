/* Small models of whole programs: the patterns that allocator suites and real programs are known
 * for. */
#include "bench.h"

#include <array>
#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

/* Trees are built and dropped over and over while one lives on. */
struct Tree {
    std::unique_ptr<Tree> left, right;

    explicit Tree(unsigned depth)
    {
        if (depth > 0) {
            left = std::make_unique<Tree>(depth - 1);
            right = std::make_unique<Tree>(depth - 1);
        }
    }
};

static void grow_trees(unsigned depth, size_t times)
{
    Tree lasting(depth + 2);
    for (size_t i = scaled(times); i > 0; i--) {
        Tree tree(depth);
        benchmark::DoNotOptimize(tree);
    }
}

CASE(trees)
{
    grow_trees(12, 1000);
}
CASE(trees_threads)
{
    on_threads(4, [](size_t) { grow_trees(12, 300); });
}

/* Documents of strings, lists and maps are parsed, copied in part and dropped. */
struct Value {
    std::string text;
    std::vector<Value> items;
    std::unordered_map<std::string, std::string> members;
};

static Value document(Random &random, unsigned depth)
{
    Value value;
    value.text.assign(random.skewed(4, 2000), 'v');
    for (size_t i = random.below(6); i > 0; i--)
        value.members[std::string(random.between(3, 30), 'k') + std::to_string(i)] =
            std::string(random.skewed(4, 200), 'm');
    for (size_t i = depth > 0 ? random.between(1, 6) : 0; i > 0; i--)
        value.items.push_back(document(random, depth - 1));
    return value;
}

CASE(documents)
{
    Random random(1);
    std::list<Value> recent;
    for (size_t i = scaled(900); i > 0; i--) {
        recent.push_back(document(random, 4));
        if (recent.size() > 20)
            recent.pop_front();
        recent.push_back(recent.front());
        recent.pop_front();
    }
}

/* A bounded cache: entries of skewed sizes are added, the oldest ones are dropped. */
CASE(lru_cache)
{
    struct Entry {
        uint64_t key;
        std::unique_ptr<char[]> data;
        size_t size;
    };
    Random random(2);
    std::list<Entry> order;
    std::unordered_map<uint64_t, std::list<Entry>::iterator> index;
    size_t held = 0;
    for (size_t i = scaled(500000); i > 0; i--) {
        uint64_t key = random.below(2) == 0 ? random.below(2000) : random.below(200000);
        auto found = index.find(key);
        if (found != index.end()) {
            order.splice(order.begin(), order, found->second);
            continue;
        }
        size_t size = random.skewed(64, 16 * KiB);
        order.push_front({key, std::unique_ptr<char[]>(new char[size]), size});
        order.front().data[0] = 1;
        index[key] = order.begin();
        for (held += size; held > 32 * MiB; order.pop_back()) {
            held -= order.back().size;
            index.erase(order.back().key);
        }
    }
}

/* Regions: chunks from which small objects are cut, all dropped at once. */
CASE(regions)
{
    Random random(3);
    for (size_t i = scaled(1000000); i > 0; i--) {
        std::vector<char *> chunks;
        for (size_t left = random.between(4, 60) * KiB, chunk = 4 * KiB; left > 0;) {
            chunks.push_back(static_cast<char *>(malloc(chunk)));
            touch(chunks.back(), chunk);
            left -= left < chunk ? left : chunk;
            chunk = chunk < 64 * KiB ? chunk * 2 : chunk;
        }
        for (char *chunk : chunks)
            free(chunk);
    }
}

/* Objects that different threads write to: slow where the allocator puts them in one cache line. */
CASE(neighbours)
{
    std::vector<void *> given(8);
    for (auto &block : given)
        block = malloc(8);
    on_threads(given.size(), [&](size_t index) {
        free(given[index]);
        for (size_t i = scaled(1500); i > 0; i--) {
            auto *block = static_cast<volatile char *>(malloc(8));
            for (size_t write = 0; write < 20000; write++)
                block[write % 8] = static_cast<char>(write);
            free(const_cast<char *>(block));
        }
    });
}

/* Threads take blocks of one size distribution and free those that any of them put down. */
static void exchange(size_t threads, size_t low, size_t high, size_t times)
{
    std::vector<std::atomic<void *>> table(4000);
    on_threads(threads, [&](size_t index) {
        Random random(index);
        for (size_t i = scaled(times); i > 0; i--) {
            size_t size = random.skewed(low, high);
            void *block = malloc(size);
            static_cast<char *>(block)[0] = 1;
            free(table[random.below(table.size())].exchange(block));
        }
    });
    for (auto &block : table)
        free(block.load());
}

CASE(exchange_small)
{
    exchange(4, 16, 1000, 1500000);
}
CASE(exchange_wide)
{
    exchange(4, 16, 64 * KiB, 300000);
}
CASE(exchange_16_threads)
{
    exchange(16, 16, 8 * KiB, 100000);
}

/* Loops of few sizes on threads that share nothing: the fast paths alone. */
CASE(loops_threads)
{
    on_threads(4, [](size_t index) {
        std::array<void *, 16> blocks{};
        Random random(index);
        for (size_t i = scaled(4000000); i > 0; i--) {
            void *&block = blocks[i % blocks.size()];
            free(block);
            block = malloc(16 + random.below(8) * 48);
            benchmark::DoNotOptimize(block);
        }
        for (void *block : blocks)
            free(block);
    });
}

/* Each thread replaces random blocks in a live set of its own. */
CASE(replace_threads)
{
    on_threads(4, [](size_t index) {
        Random random(index);
        std::vector<void *> blocks(20000);
        for (size_t i = scaled(900000); i > 0; i--) {
            void *&block = blocks[random.below(blocks.size())];
            free(block);
            block = malloc(random.skewed(16, 8 * KiB));
            static_cast<char *>(block)[0] = 1;
        }
        for (void *block : blocks)
            free(block);
    });
}

/* Buffers grow and shrink on several threads, as connections' buffers do. */
CASE(realloc_threads)
{
    on_threads(4, [](size_t index) {
        Random random(index);
        std::vector<void *> buffers(300);
        for (size_t i = scaled(250000); i > 0; i--) {
            void *&buffer = buffers[random.below(buffers.size())];
            size_t size = random.skewed(32, 64 * KiB);
            buffer = realloc(buffer, size);
            static_cast<char *>(buffer)[size - 1] = 1;
        }
        for (void *buffer : buffers)
            free(buffer);
    });
}

/* A heap that is dropped to a tenth and grows again, with other sizes each time. */
CASE(waves)
{
    Random random(4);
    std::vector<void *> blocks;
    for (size_t wave = 0, end = scaled(12); wave < end; wave++) {
        size_t low = 16u << wave % 6;
        for (size_t held = 0; held < 48 * MiB;) {
            size_t size = random.between(low, low * 3);
            blocks.push_back(malloc(size));
            touch(blocks.back(), size);
            held += size;
        }
        for (size_t i = blocks.size(); i > 1; i--)
            std::swap(blocks[i - 1], blocks[random.below(i)]);
        size_t kept = blocks.size() / 10;
        for (size_t i = kept; i < blocks.size(); i++)
            free(blocks[i]);
        blocks.resize(kept);
    }
    for (void *block : blocks)
        free(block);
}
