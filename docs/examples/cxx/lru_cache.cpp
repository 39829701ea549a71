/*
 * An LRU cache that holds as much as the memory limit lets it.
 *   Build: c++ -std=c++11 -O2 -pthread -o lru_cache lru_cache.cpp
 *   Run:   plimsoll run -m 128Mi -- ./lru_cache
 * --no-reclaimer shows what happens without one: the kernel kills the program.
 */
#define PLIM_OPTIONAL // runs without the library too
#include <plimsoll.hpp>

#include <cstdio>
#include <cstring>
#include <iterator>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

template <typename Key> class lru_cache
{
  public:
    void put(const Key &key, std::string value)
    {
        std::lock_guard<std::mutex> guard(lock_);
        auto found = index_.find(key);
        if (found != index_.end())
            drop(found->second);
        bytes_ += value.size();
        entries_.emplace_front(key, std::move(value));
        index_[key] = entries_.begin();
    }

    // Copies the value, as the entry may be dropped at any time. False: it is not there (any more).
    bool get(const Key &key, std::string &value)
    {
        std::lock_guard<std::mutex> guard(lock_);
        auto found = index_.find(key);
        if (found == index_.end())
            return false;
        entries_.splice(entries_.begin(), entries_, found->second);
        value = found->second->second;
        return true;
    }

    // Drops the entries that were used longest ago. It takes the lock anew for each, so that
    // threads which use the cache do not wait until all are dropped.
    std::size_t shrink(std::size_t target)
    {
        std::size_t freed = 0;
        while (freed < target) {
            std::lock_guard<std::mutex> guard(lock_);
            if (entries_.empty())
                break;
            freed += entries_.back().second.size();
            drop(std::prev(entries_.end()));
        }
        return freed;
    }

    std::size_t bytes()
    {
        std::lock_guard<std::mutex> guard(lock_);
        return bytes_;
    }

  private:
    using entry_list = std::list<std::pair<Key, std::string>>;

    void drop(typename entry_list::iterator entry)
    {
        bytes_ -= entry->second.size();
        index_.erase(entry->first);
        entries_.erase(entry);
    }

    std::mutex lock_;
    entry_list entries_; // the last used first
    std::unordered_map<Key, typename entry_list::iterator> index_;
    std::size_t bytes_ = 0;
};

static lru_cache<unsigned> cache;

// Asks for two values in turn: one that it always needs, and one that it never asks for again.
static void serve(unsigned thread, unsigned requests)
{
    std::string value;
    for (unsigned i = 0; i < requests; i++) {
        for (unsigned key : {thread, 1000 + i * 16 + thread})
            if (!cache.get(key, value))
                cache.put(key, std::string(10000, static_cast<char>('a' + key % 26)));
    }
}

int main(int argc, char **argv)
{
    bool wanted = argc < 2 || std::strcmp(argv[1], "--no-reclaimer") != 0;
    plimsoll::reclaimer reclaimer;
    if (wanted)
        reclaimer = plimsoll::reclaimer(
            "lru", [](const plim_pressure &p) { return cache.shrink(p.target); });
    if (wanted && !reclaimer)
        std::fprintf(stderr, "no reclaimer: %s\n", std::strerror(reclaimer.error()));

    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; i++)
        threads.emplace_back(serve, i, 10000);
    for (auto &thread : threads)
        thread.join();
    std::printf("cached_mib=%zu\n", cache.bytes() >> 20);
    return 0;
}
