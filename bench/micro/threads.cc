/* Several threads: blocks that change hands, threads that come and go. */
#include "bench.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

/* A queue between two threads, short enough that neither runs far ahead. */
class Channel
{
  public:
    void put(std::vector<void *> &&batch)
    {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [this] { return queue.size() < 8; });
        queue.push_back(std::move(batch));
        changed.notify_all();
    }

    std::vector<void *> take()
    {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [this] { return !queue.empty(); });
        std::vector<void *> batch = std::move(queue.front());
        queue.erase(queue.begin());
        changed.notify_all();
        return batch;
    }

  private:
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::vector<void *>> queue;
};

/* One thread allocates, another frees. An empty batch ends it. */
static void hand_over(size_t low, size_t high, size_t length, size_t batches)
{
    Channel channel;
    on_threads(2, [&](size_t index) {
        Random random(index);
        for (size_t i = scaled(batches); index == 0 && i > 0; i--) {
            std::vector<void *> batch(length);
            for (auto &block : batch) {
                size_t size = random.between(low, high);
                block = malloc(size);
                touch(block, size);
            }
            channel.put(std::move(batch));
        }
        if (index == 0)
            return channel.put({});
        for (auto batch = channel.take(); !batch.empty(); batch = channel.take()) {
            for (void *block : batch)
                free(block);
        }
    });
}

CASE(producer_consumer)
{
    hand_over(16, 512, 500, 12000);
}
CASE(producer_consumer_large)
{
    hand_over(4 * KiB, 64 * KiB, 20, 10000);
}

/* A server: each thread replaces random blocks of its own, then leaves them to a new thread. */
static void serve(std::vector<void *> blocks, size_t seed, size_t generations)
{
    Random random(seed);
    for (size_t i = scaled(200000); i > 0; i--) {
        void *&block = blocks[random.below(blocks.size())];
        size_t size = random.between(8, 1000);
        free(block);
        block = malloc(size);
        static_cast<char *>(block)[0] = 1;
    }
    if (generations > 1)
        std::thread(serve, std::move(blocks), seed + 100, generations - 1).join();
    else
        for (void *block : blocks)
            free(block);
}

CASE(server)
{
    on_threads(8, [](size_t index) { serve(std::vector<void *>(5000), index, 8); });
}

/* All threads allocate into one heap of batches and free what others put there. */
CASE(shared_stack)
{
    std::mutex mutex;
    std::vector<std::vector<void *>> stack;
    on_threads(4, [&](size_t index) {
        Random random(index);
        for (size_t i = scaled(15000); i > 0; i--) {
            std::vector<void *> batch(120);
            for (auto &block : batch) {
                block = malloc(random.skewed(16, 2 * KiB));
                static_cast<char *>(block)[0] = 1;
            }
            std::unique_lock<std::mutex> lock(mutex);
            stack.push_back(std::move(batch));
            if (stack.size() < 50)
                continue;
            size_t at = random.below(stack.size());
            std::swap(stack[at], stack.back());
            batch = std::move(stack.back());
            stack.pop_back();
            lock.unlock();
            for (void *block : batch)
                free(block);
        }
    });
    for (auto &batch : stack) {
        for (void *block : batch)
            free(block);
    }
}

/* Waves of threads with kept, dropped and exchanged blocks, some of them large. */
static void stress(size_t seed, std::vector<std::atomic<void *>> &exchange)
{
    Random random(seed);
    std::vector<void *> kept, dropped;
    for (size_t i = scaled(40000); i > 0; i--) {
        size_t size = random.below(2000) == 0 ? random.between(64 * KiB, 512 * KiB)
                                              : random.skewed(8, 4 * KiB);
        void *block = malloc(size);
        touch(block, size);
        (random.below(4) == 0 ? kept : dropped).push_back(block);
        if (random.below(3) != 0 && !dropped.empty()) {
            std::swap(dropped[random.below(dropped.size())], dropped.back());
            free(dropped.back());
            dropped.pop_back();
        }
        if (random.below(8) == 0 && !kept.empty())
            kept.back() = exchange[random.below(exchange.size())].exchange(kept.back());
    }
    for (auto *blocks : {&kept, &dropped}) {
        for (void *block : *blocks)
            free(block);
    }
}

CASE(stress)
{
    std::vector<std::atomic<void *>> exchange(1000);
    for (size_t wave = 0; wave < 6; wave++) {
        on_threads(6, [&](size_t index) { stress(wave * 100 + index, exchange); });
        for (size_t i = wave % 2; i < exchange.size(); i += 2)
            free(exchange[i].exchange(nullptr));
    }
    for (auto &block : exchange)
        free(block.exchange(nullptr));
}

/* Rings of blocks of evenly spread sizes; every so often a whole ring goes to the next thread. */
static void rings(size_t low, size_t high, size_t passes)
{
    constexpr size_t threads = 4, length = 1200;
    struct Ring {
        std::mutex mutex;
        std::vector<void *> blocks = std::vector<void *>(length);
    };
    std::unique_ptr<Ring[]> all(new Ring[threads]);
    on_threads(threads, [&](size_t index) {
        Random random(index);
        for (size_t pass = 0, end = scaled(passes); pass < end; pass++) {
            Ring &ring = all[(index + pass / 10) % threads];
            std::lock_guard<std::mutex> lock(ring.mutex);
            for (size_t i = random.below(4); i < length; i += 1 + random.below(4)) {
                size_t size = random.between(low, high);
                free(ring.blocks[i]);
                ring.blocks[i] = malloc(size);
                touch(ring.blocks[i], size);
            }
        }
    });
    for (size_t i = 0; i < threads; i++) {
        for (void *block : all[i].blocks)
            free(block);
    }
}

CASE(rings_small)
{
    rings(16, 1000, 3000);
}
CASE(rings_medium)
{
    rings(16, 16 * KiB, 800);
}
CASE(rings_wide)
{
    rings(8 * KiB, 128 * KiB, 40);
}

/* Many threads at once, each with blocks of many sizes: one cache and one arena for each. */
CASE(many_threads)
{
    on_threads(48, [](size_t index) {
        Random random(index);
        for (size_t round = scaled(20); round > 0; round--) {
            std::vector<void *> blocks(6000);
            for (auto &block : blocks) {
                size_t size = random.skewed(16, 16 * KiB);
                block = malloc(size);
                touch(block, size);
            }
            for (void *block : blocks)
                free(block);
        }
    });
}

/* The same block sizes on every thread, no sharing: what the locks of few arenas cost. */
CASE(threads_apart)
{
    on_threads(8, [](size_t index) {
        Random random(index);
        std::vector<void *> blocks(2000);
        for (size_t i = scaled(1000000); i > 0; i--) {
            void *&block = blocks[random.below(blocks.size())];
            free(block);
            block = malloc(32 + 16 * random.below(20));
            static_cast<char *>(block)[0] = 1;
        }
        for (void *block : blocks)
            free(block);
    });
}

/* Threads that live for a few allocations. */
CASE(short_threads)
{
    for (size_t i = scaled(6000); i > 0; i--) {
        on_threads(2, [](size_t index) {
            std::vector<void *> blocks(40);
            for (auto &block : blocks)
                block = malloc(24 + 40 * index);
            for (void *block : blocks)
                free(block);
        });
    }
}

/* Workers that take turns: each grows a heap, drops it and sleeps while the others do. A mutex
 * alone would go back to the thread that released it, which would do all its rounds in a row. */
CASE(turns)
{
    constexpr size_t threads = 8;
    std::mutex mutex;
    std::condition_variable changed;
    size_t turn = 0;
    on_threads(threads, [&](size_t index) {
        Random random(index);
        for (size_t round = scaled(24); round > 0; round--) {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [&] { return turn % threads == index; });
            std::vector<void *> blocks(12000);
            for (auto &block : blocks) {
                size_t size = random.skewed(64, 32 * KiB);
                block = malloc(size);
                touch(block, size);
            }
            for (void *block : blocks)
                free(block);
            turn++;
            changed.notify_all();
        }
    });
}
