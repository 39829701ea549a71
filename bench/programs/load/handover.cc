// Four threads allocate, four others free: no block is freed by the thread that allocated it. The
// queue is a ring of 120 MiB; each phase has another range of block sizes, and before every second
// phase the ring is drained to an eighth.
#include <atomic>
#include <cstdio>
#include <cstring>
#include <deque>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace {

constexpr size_t kDepth = 120u << 20, kPhaseBytes = 400u << 20;
constexpr int kPairs = 4, kPhases = 10;

struct Block {
    unsigned char *data;
    size_t size;
};

class Ring {
public:
    void put(Block block)
    {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [this] { return held_ < depth_; });
        held_ += block.size;
        blocks_.push_back(block);
        filled_.notify_one();
    }

    // False when all is done.
    bool take(Block &block)
    {
        std::unique_lock lock(mutex_);
        filled_.wait(lock, [this] { return done_ || held_ >= depth_ / 2; });
        if (blocks_.empty())
            return false;
        block = blocks_.front();
        blocks_.pop_front();
        held_ -= block.size;
        room_.notify_all();
        return true;
    }

    void set_depth(size_t depth)
    {
        std::unique_lock lock(mutex_);
        depth_ = depth;
        filled_.notify_all();
        room_.notify_all();
    }

    void finish()
    {
        std::unique_lock lock(mutex_);
        done_ = true;
        filled_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable room_, filled_;
    std::deque<Block> blocks_;
    size_t held_ = 0, depth_ = kDepth;
    bool done_ = false;
};

Ring ring;
std::atomic<size_t> damaged;

void produce(unsigned seed)
{
    static constexpr size_t kSmallest[kPhases] = {24, 300, 4000, 90, 20000, 1000, 100000, 150, 9000, 500};
    unsigned state = seed;
    for (int phase = 0; phase < kPhases; phase++) {
        if (seed == 1)
            ring.set_depth(phase % 2 ? kDepth / 8 : kDepth);
        for (size_t made = 0; made < kPhaseBytes / kPairs;) {
            state = state * 1103515245 + 12345;
            size_t size = kSmallest[phase] + (state >> 8) % kSmallest[phase];
            auto *data = new unsigned char[size];
            memset(data, static_cast<int>(size & 255), size);
            ring.put({data, size});
            made += size + 64; // the queue's own cost
        }
    }
}

void consume()
{
    for (Block block; ring.take(block); delete[] block.data)
        for (size_t i = 0; i < block.size; i += 97)
            if (block.data[i] != (block.size & 255))
                damaged++;
}

} // namespace

int main()
{
    std::vector<std::thread> producers, consumers;
    for (unsigned i = 1; i <= kPairs; i++) {
        producers.emplace_back(produce, i);
        consumers.emplace_back(consume);
    }
    for (auto &thread : producers)
        thread.join();
    ring.finish();
    for (auto &thread : consumers)
        thread.join();
    printf("%s\n", damaged ? "damaged" : "all blocks intact");
    return damaged != 0;
}
